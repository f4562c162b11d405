package lambda

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"veryfi-intake/local/machine"
)

// initTimeout is Lambda's limit for the time from the start to the first
// request for an invocation.
const initTimeout = 10 * time.Second

// maxLine is the length in bytes of the longest line that is logged whole.
const maxLine = 256 << 10

// An outcome is what became of one invocation.
type outcome struct {
	response []byte
	err      error
}

// An invocation is an event on its way through an environment.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	done     chan outcome // buffered: the first outcome counts
}

func (i *invocation) finish(o outcome) {
	select {
	case i.done <- o:
	default:
	}
}

// An environment is one bootstrap process and the Runtime API it talks to.
type environment struct {
	config  Config
	server  *http.Server
	process *machine.Process
	output  *io.PipeWriter
	logged  chan struct{} // closed when all output is

	next        chan *invocation // handed over when the process asks for it
	initialized chan error       // buffered: how the init ended

	mu      sync.Mutex
	current *invocation
}

// newEnvironment starts the process. The caller stops the environment.
func newEnvironment(config Config) (*environment, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the Runtime API of %s: %w", config.Name, err)
	}
	e := &environment{
		config:      config,
		logged:      make(chan struct{}),
		next:        make(chan *invocation),
		initialized: make(chan error, 1),
	}
	e.server = &http.Server{Handler: e.runtimeAPI()}
	go func() { _ = e.server.Serve(listener) }() // until stop

	output, in := io.Pipe()
	e.output = in
	go e.log(output)
	command := exec.Command(config.Bootstrap)
	command.Env = config.environ(listener.Addr().String())
	command.Stdout, command.Stderr = e.output, e.output
	if e.process, err = machine.Start(command); err != nil {
		e.output.Close()
		e.server.Close()
		return nil, &Error{Type: "Runtime.InvalidEntrypoint", Message: err.Error()}
	}
	return e, nil
}

// waitReady waits for the end of the function's init.
func (e *environment) waitReady() error {
	timeout := time.NewTimer(initTimeout)
	defer timeout.Stop()
	select {
	case err := <-e.initialized:
		return err
	case <-e.process.Exited():
		return e.exitError()
	case <-timeout.C:
		return timedOut("init", initTimeout)
	}
}

// invoke hands the event over and waits for the end of the invocation. After an
// error the environment must be stopped.
func (e *environment) invoke(event []byte) outcome {
	i := &invocation{id: newUUID(), event: event, deadline: time.Now().Add(e.config.Timeout), done: make(chan outcome, 1)}
	timeout := time.NewTimer(e.config.Timeout)
	defer timeout.Stop()
	select {
	case <-e.process.Exited(): // its last request may not have ended yet
		return outcome{err: errNotGiven}
	default:
	}
	select {
	case e.next <- i:
	case <-e.process.Exited():
		return outcome{err: errNotGiven}
	case <-timeout.C: // busy after its last answer
		return outcome{err: errNotGiven}
	}
	select {
	case outcome := <-i.done:
		return outcome
	case <-e.process.Exited():
		// What it posted last counts more than that it ended.
		i.finish(outcome{err: e.exitError()})
		return <-i.done
	case <-timeout.C:
		i.finish(outcome{err: timedOut("task", e.config.Timeout)})
		return <-i.done
	}
}

func timedOut(what string, after time.Duration) *Error {
	return &Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("%s timed out after %.2f seconds", what, after.Seconds())}
}

func (e *environment) exitError() *Error {
	return &Error{Type: "Runtime.ExitError", Message: "Runtime exited with error: " + e.process.Ending()}
}

// stop ends the process. It may be called more than once.
func (e *environment) stop() {
	e.process.Kill()
	e.server.Close()
	e.output.Close()
	<-e.logged
}

// log passes on what the process writes, line by line. A line longer than maxLine comes
// in pieces.
func (e *environment) log(output io.Reader) {
	defer close(e.logged)
	for reader := bufio.NewReaderSize(output, maxLine); ; {
		line, _, err := reader.ReadLine()
		if err != nil {
			return
		}
		e.config.Log(string(line))
	}
}

// runtimeAPI serves the Runtime API, version 2018-06-01, to one process.
func (e *environment) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", e.serveError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", e.serveInitError)
	return mux
}

func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	e.endInit(nil)
	select {
	case i := <-e.next:
		e.mu.Lock()
		e.current = i
		e.mu.Unlock()
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		header.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+e.config.Region+":000000000000:function:"+e.config.Name)
		header.Set("Lambda-Runtime-Trace-Id", newTraceID())
		w.Write(i.event)
	case <-r.Context().Done():
	}
}

func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	response, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		e.finish(w, r, outcome{err: &Error{Type: "Function.ResponseSizeTooLarge", Message: "the response is over Lambda's limit of 6 MB"}})
	case err != nil: // the process died while it wrote
	case r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "":
		e.finish(w, r, outcome{err: &Error{Type: r.Trailer.Get("Lambda-Runtime-Function-Error-Type"), Message: "the function failed while it wrote its response"}})
	default:
		e.finish(w, r, outcome{response: response})
	}
}

func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	e.finish(w, r, outcome{err: reportedError(r)})
}

func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	e.endInit(reportedError(r))
	answer(w, http.StatusAccepted, `{"status":"OK"}`)
}

// endInit says how the init ended: with an error, or with a request for an event. Only
// the first time counts.
func (e *environment) endInit(err error) {
	select {
	case e.initialized <- err:
	default:
	}
}

// finish ends the invocation that the request names, if it still runs. It does
// so before it answers: a process may end on the answer.
func (e *environment) finish(w http.ResponseWriter, r *http.Request, o outcome) {
	e.mu.Lock()
	current := e.current
	e.mu.Unlock()
	if current == nil || current.id != r.PathValue("id") {
		answer(w, http.StatusBadRequest, `{"errorType":"InvalidRequestID","errorMessage":"no such invocation runs here"}`)
		return
	}
	current.finish(o)
	answer(w, http.StatusAccepted, `{"status":"OK"}`)
}

// reportedError reads what a runtime says of an error.
func reportedError(r *http.Request) *Error {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 256<<10))
	var report struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(body, &report) != nil || report.ErrorType == "" {
		report.ErrorType = r.Header.Get("Lambda-Runtime-Function-Error-Type")
	}
	if report.ErrorType == "" {
		report.ErrorType = "Runtime.Unknown"
	}
	return &Error{Type: report.ErrorType, Message: report.ErrorMessage}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// newUUID returns a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newTraceID returns an X-Ray trace header that asks for no trace.
func newTraceID() string {
	var b [20]byte
	rand.Read(b[:])
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", time.Now().Unix(), b[:12], b[12:])
}
