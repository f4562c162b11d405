package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rogpeppe/go-internal/testscript"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/demo"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"intake": main})
}

// TestScripts runs the stories in testdata, each with a stack of its own on this
// machine. Besides testscript's commands they have:
//
//	stack [PARAMETER=VALUE …]
//	                   start the stack, and have `intake --local` find it
//	stack unfilled     with a secret as template.yaml writes it
//	deliver [-old] EVENT DATA [STATUS]
//	                   send a webhook as Veryfi would, again and again until that
//	                   answer comes (200); -old signs it with the client secret
//	                   before the last rotation
//	document ID        have Veryfi hold a document
//	veryfi STATUS      have Veryfi answer all requests so; `veryfi well` ends that
//	secret TEXT        write that into the secret, as in the console
//	rotate             have Veryfi take other credentials, as in rotated.json
//	denied OPERATION   have AWS refuse calls whose names begin so; `allowed` ends that
//	row ID STATUS      wait until the row has the status
//	scheduled run      have EventBridge start the reconciler
//	queue ATTRIBUTE VALUE
//	                   change DocumentQueue by hand
//	polling off        stop the event source mapping; `polling on` starts it
//	killed             have the processor die in the middle of a document
//	logged TEXT [N]    wait until the functions have written that, in N lines
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EVENTS", absolute("../../events"))
			env.Setenv("HOME", env.WorkDir)                      // no configuration of the user's
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")      // nor of the machine's
			env.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9") // and nobody there
			env.Values[worldKey{}] = &world{ctx: t.Context(), env: env}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"stack": inWorld((*world).start), "deliver": inWorld((*world).deliver), "document": inWorld((*world).document),
			"veryfi": inWorld((*world).veryfi), "secret": inWorld((*world).secret), "rotate": inWorld((*world).rotate), "denied": inWorld((*world).denied), "allowed": inWorld((*world).allowed), "row": inWorld((*world).row),
			"scheduled": inWorld((*world).scheduled), "queue": inWorld((*world).queue), "polling": inWorld((*world).polling), "killed": inWorld((*world).killed), "logged": inWorld((*world).logged),
		},
	})
}

func absolute(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return path
}

type worldKey struct{}

// A world is the stack of one script.
type world struct {
	ctx         context.Context //nolint:containedctx // it lives as long as the script
	env         *testscript.Env
	stack       *stack.Stack
	credentials secret.Credentials
	before      secret.Credentials
	logs        demo.Logs
}

// inWorld makes a command of the script of a method.
func inWorld(do func(*world, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, arguments []string) {
		ts.Check(do(ts.Value(worldKey{}).(*world), ts, arguments))
	}
}

var sample = secret.Credentials{ClientID: "sample-client", ClientSecret: "sample-client-secret", Username: "sample.user", APIKey: "sample-api-key"}

func (w *world) start(ts *testscript.TestScript, arguments []string) error {
	w.credentials = sample
	parameters := map[string]string{}
	for _, argument := range arguments {
		if name, value, ok := strings.Cut(argument, "="); ok {
			parameters[name] = value
		}
	}
	started, err := stack.Start(w.ctx, stack.Options{Root: absolute("../.."), Credentials: sample, Parameters: parameters, Log: w.logs.Add})
	if err != nil {
		return err
	}
	w.stack = started
	w.env.Defer(started.Stop)
	ts.Setenv("AWS_ENDPOINT_URL", started.AWSURL)
	ts.Setenv("WEBHOOK", started.WebhookURL)
	if slices.Contains(arguments, "unfilled") {
		started.Secrets.Remove("AWSCURRENT") // as CloudFormation makes it: with no value
	}
	return nil
}

func (w *world) deliver(_ *testscript.TestScript, arguments []string) error {
	clientSecret, want := w.credentials.ClientSecret, 200
	if arguments[0] == "-old" {
		clientSecret, arguments = w.before.ClientSecret, arguments[1:]
	}
	if len(arguments) == 3 {
		var err error
		if want, err = strconv.Atoi(arguments[2]); err != nil {
			return err
		}
	}
	call := webhook.Webhook{Event: arguments[0], Data: arguments[1]}
	if call.Event != "subscription" {
		var err error
		if call, err = webhook.Sign(arguments[0], arguments[1], clientSecret); err != nil {
			return err
		}
	}
	var answer webhook.Answer
	for end := time.Now().Add(time.Minute); answer.Status != want && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		answer = standin.NewSender(time.Second).Post(w.ctx, w.stack.WebhookURL, call)
	}
	if answer.Err == nil && answer.Status != want {
		return fmt.Errorf("the webhook answers %d %s after %v, not %d; its log has %q", answer.Status, answer.Body, answer.Took, want, w.logs.Containing("not accepted"))
	}
	return answer.Err
}

func (w *world) document(_ *testscript.TestScript, arguments []string) error {
	id, err := strconv.ParseInt(arguments[0], 10, 64)
	if err != nil {
		return err
	}
	w.stack.Veryfi.PutCreated(id, time.Now().Add(-2*time.Hour), standin.Invoice(id))
	return nil
}

func (w *world) veryfi(_ *testscript.TestScript, arguments []string) error {
	if arguments[0] == "well" {
		w.stack.Veryfi.Always(nil)
		return nil
	}
	status, err := strconv.Atoi(arguments[0])
	w.stack.Veryfi.Always(standin.Status(status))
	return err
}

func (w *world) secret(_ *testscript.TestScript, arguments []string) error {
	w.stack.Secrets.Put(arguments[0])
	return nil
}

func (w *world) rotate(ts *testscript.TestScript, _ []string) error {
	w.before = w.credentials
	w.credentials = secret.Credentials{ClientID: "rotated-client", ClientSecret: "rotated-client-secret", APIKey: "vrfk_rotated-api-key"}
	w.stack.Veryfi.SetCredentials(w.credentials)
	return os.WriteFile(ts.MkAbs("rotated.json"), fmt.Appendf(nil, `{"client_id": %q, "client_secret": %q, "username": "", "api_key": %q}`,
		w.credentials.ClientID, w.credentials.ClientSecret, w.credentials.APIKey), 0o600)
}

// denied has AWS refuse calls whose names begin so, whoever makes them.
func (w *world) denied(_ *testscript.TestScript, arguments []string) error {
	w.stack.AWS.SetIntercept(func(_ endpoint.Service, next http.Handler, rw http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !strings.HasPrefix(operation, arguments[0]) {
			next.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(rw, `{"__type":"AccessDeniedException","message":"User is not authorized to perform: %s"}`, operation)
	})
	return nil
}

func (w *world) allowed(*testscript.TestScript, []string) error {
	w.stack.AWS.SetIntercept(nil)
	return nil
}

func (w *world) scheduled(*testscript.TestScript, []string) error {
	event, err := os.ReadFile("../../events/reconciler-scheduled.json")
	if err == nil {
		_, err = w.stack.Reconciler.Invoke(w.ctx, event)
	}
	return err
}

func (w *world) queue(_ *testscript.TestScript, arguments []string) error {
	_, err := w.stack.SQS.SetQueueAttributes(w.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &w.stack.QueueURL, Attributes: map[string]string{arguments[0]: arguments[1]}})
	return err
}

func (w *world) polling(_ *testscript.TestScript, arguments []string) error {
	if arguments[0] == "on" {
		w.stack.StartPoller()
	} else {
		w.stack.StopPoller()
	}
	return nil
}

func (w *world) row(_ *testscript.TestScript, arguments []string) error {
	var rows map[string]stack.Row
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		if rows, err = w.stack.Rows(w.ctx); err != nil {
			return err
		}
		if rows[arguments[0]].Status == arguments[1] {
			return nil
		}
	}
	return fmt.Errorf("the row %s is %q, not %s: %s", arguments[0], rows[arguments[0]].Status, arguments[1], rows[arguments[0]].Error)
}

func (w *world) logged(_ *testscript.TestScript, arguments []string) error {
	times := 1
	if len(arguments) > 1 {
		var err error
		if times, err = strconv.Atoi(arguments[1]); err != nil {
			return err
		}
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if len(w.logs.Containing(arguments[0])) >= times {
			return nil
		}
	}
	return fmt.Errorf("no function has written %q", arguments[0])
}

func (w *world) killed(_ *testscript.TestScript, _ []string) error {
	hanging := make(chan struct{}, 10)
	w.stack.Veryfi.ThenAll(func(_ http.ResponseWriter, r *http.Request, _ []byte) {
		hanging <- struct{}{}
		<-r.Context().Done()
	})
	if err := w.deliver(nil, []string{"document.created", `{"id": 79, "created": "2026-01-02 03:04:05"}`}); err != nil {
		return err
	}
	select {
	case <-hanging:
	case <-time.After(time.Minute):
		return errors.New("the processor does not ask for the document")
	}
	w.stack.Processor.Kill()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if w.stack.Metrics.Sum("AWS/Lambda", "Errors", map[string]string{"FunctionName": "ProcessorFunction"}) > 0 {
			return nil
		}
	}
	return errors.New("nobody counts that the processor has died")
}
