// Package endpoint is the one AWS endpoint of a local stack: it passes each request on
// to the service that the request's X-Amz-Target names, or else its signature. It also
// holds the two smallest services, see [Stack] and [Topic].
package endpoint

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
)

// A Service is one of the AWS services behind the endpoint.
type Service string

// The services that are known, named by what their X-Amz-Target begins with.
const (
	DynamoDB       Service = "DynamoDB_"
	SQS            Service = "AmazonSQS."
	SecretsManager Service = "secretsmanager."
	Logs           Service = "Logs_20140328."
)

// The services that have no X-Amz-Target, named as they are signed for.
const (
	CloudFormation Service = "cloudformation"
	CloudWatch     Service = "monitoring"
	Lambda         Service = "lambda"
	SNS            Service = "sns"
)

// keptConnections is enough for a webhook's batches, sent side by side.
const keptConnections = 100

// An Endpoint is the handler of all services. A request that names none goes to SQS:
// its query protocol has no X-Amz-Target, and `curl` no signature.
type Endpoint struct {
	handlers  map[Service]http.Handler
	intercept atomic.Pointer[Intercept]
}

// An Intercept answers a request to a service in its own way, or has next answer
// it.
type Intercept func(service Service, next http.Handler, w http.ResponseWriter, r *http.Request)

// New returns an endpoint of these handlers.
func New(handlers map[Service]http.Handler) *Endpoint {
	return &Endpoint{handlers: handlers}
}

// Proxy returns a handler that passes requests on to the server at an address. An
// authorization replaces the clients' own; with "" they keep it.
func Proxy(address, authorization string) http.Handler {
	target := &url.URL{Scheme: "http", Host: address}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: keptConnections},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if authorization != "" {
				r.Out.Header.Set("Authorization", authorization)
			}
		},
		ErrorLog: log.New(io.Discard, "", 0), // the client gets a 502
	}
}

// SetIntercept puts f before all services, or nothing.
func (e *Endpoint) SetIntercept(f Intercept) { e.intercept.Store(&f) }

// Down returns an intercept that answers 503 to all requests to one service.
func Down(which Service) Intercept {
	return func(service Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
		if service == which {
			fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the stand-in is set to be down")
			return
		}
		next.ServeHTTP(w, r)
	}
}

// Throttle answers what the service's SDK takes for a limit that was reached.
func Throttle(service Service, w http.ResponseWriter) {
	kind := map[Service]string{DynamoDB: "ProvisionedThroughputExceededException", SQS: "RequestThrottled"}[service]
	if kind == "" {
		kind = "ThrottlingException"
	}
	fail(w, http.StatusBadRequest, kind, "the rate is exceeded")
}

// ServeHTTP answers 400 to a target that no service has.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	service := e.serviceOf(target, r.Header.Get("Authorization"))
	handler, ok := e.handlers[service]
	if !ok {
		fail(w, http.StatusBadRequest, "UnknownOperationException", "no service here has the target "+target)
		return
	}
	if intercept := e.intercept.Load(); intercept != nil && *intercept != nil {
		(*intercept)(service, handler, w, r)
		return
	}
	handler.ServeHTTP(w, r)
}

func (e *Endpoint) serviceOf(target, authorization string) Service {
	for service := range e.handlers {
		// A credential's scope ends in the service and this.
		signedFor := strings.Contains(authorization, "/"+string(service)+"/aws4_request")
		if strings.HasPrefix(target, string(service)) || target == "" && signedFor {
			return service
		}
	}
	if target == "" {
		return SQS
	}
	return ""
}

// fail answers with an error of AWS's JSON protocols.
func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": message})
}
