package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// newEvent returns the event of payload format 2.0 as JSON.
func newEvent(r *http.Request, body []byte, routeKey, requestID string, now time.Time) []byte {
	sourceIP, _, _ := net.SplitHostPort(r.RemoteAddr)
	domain, _, _ := strings.Cut(r.Host, ":")
	request := events.APIGatewayV2HTTPRequest{
		Version:               "2.0",
		RouteKey:              routeKey,
		RawPath:               r.URL.EscapedPath(),
		RawQueryString:        r.URL.RawQuery,
		Cookies:               cookies(r.Header),
		Headers:               headers(r, sourceIP),
		QueryStringParameters: parameters(r.URL.Query()),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey:     routeKey,
			AccountID:    "000000000000",
			Stage:        "$default",
			RequestID:    requestID,
			APIID:        "local",
			DomainName:   domain,
			DomainPrefix: "local",
			Time:         now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
			TimeEpoch:    now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method:    r.Method,
				Path:      r.URL.Path,
				Protocol:  r.Proto,
				SourceIP:  sourceIP,
				UserAgent: r.UserAgent(),
			},
		},
	}
	switch {
	case len(body) == 0:
	case isText(r.Header.Get("Content-Type")) && utf8.Valid(body):
		request.Body = string(body)
	default:
		request.Body = base64.StdEncoding.EncodeToString(body)
		request.IsBase64Encoded = true
	}
	event, err := json.Marshal(request)
	if err != nil {
		panic(err) // strings, numbers and maps of strings only
	}
	return event
}

// headers has lower-case names. Cookies have a place of their own.
func headers(r *http.Request, sourceIP string) map[string]string {
	headers := map[string]string{
		"host":              r.Host,
		"x-forwarded-for":   sourceIP,
		"x-forwarded-proto": "http",
	}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return headers
}

func cookies(header http.Header) (cookies []string) {
	for _, line := range header.Values("Cookie") {
		for cookie := range strings.SplitSeq(line, ";") {
			cookies = append(cookies, strings.TrimSpace(cookie))
		}
	}
	return cookies
}

func parameters(query url.Values) map[string]string {
	parameters := map[string]string{}
	for name, values := range query {
		parameters[name] = strings.Join(values, ",")
	}
	return parameters
}

// isText reports whether API Gateway passes a body of this content type on as
// text. Without a content type it is binary to it.
func isText(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch mediaType {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(mediaType, "text/")
}
