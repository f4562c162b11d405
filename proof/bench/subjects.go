package bench

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/machine"
	"veryfi-intake/shared/event"
)

// A subject is a function that is measured.
type subject struct {
	name   string
	config lambda.Config
	round  int // how many invocations make one
}

// round is how many invocations make one of a running environment, as a rule.
const round = 100

// subjects are what is measured: ours first, then the floor, then an empty function
// for webhooks, then the same in Python, where Python has what it needs.
type subjects struct {
	webhooks, processors []subject
	upstream             *upstream
	trust                trust
	request              []byte // an event of API Gateway
	folder               string
}

// newSubjects builds the programs and starts what they talk to. The caller closes
// the subjects.
func (b *bench) newSubjects(ctx context.Context) (_ *subjects, err error) {
	s := &subjects{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.folder, err = os.MkdirTemp("", "veryfi-intake-bench-"); err != nil {
		return nil, err
	}
	if s.request, err = os.ReadFile(filepath.Join(b.Root, "events", "webhook-document-created.json")); err != nil {
		return nil, err
	}
	if s.upstream, err = startUpstream(b.Credentials); err != nil {
		return nil, err
	}
	if s.trust, err = newTrust(s.folder, s.upstream.Certificate()); err != nil {
		return nil, err
	}
	return s, errors.Join(s.ours(ctx, b.Root), s.compared(ctx, b.Root), s.python(b))
}

func (s *subjects) close() {
	if s.upstream != nil {
		s.upstream.CloseClientConnections()
		s.upstream.Close()
	}
	os.RemoveAll(s.folder)
}

// ours are the functions as template.yaml deploys them.
func (s *subjects) ours(ctx context.Context, root string) error {
	described, err := template.Read(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		return err
	}
	for id, into := range map[string]*[]subject{"WebhookFunction": &s.webhooks, "ProcessorFunction": &s.processors} {
		function, err := described.Function(id, template.References{
			"DocumentQueue": s.upstream.URL + "/" + queueURL, "DeadLetterQueue": s.upstream.URL + "/dead-letters",
			"DocumentTable": "documents", "VeryfiSecret": secretID, "AWS::StackName": "bench",
		})
		if err != nil {
			return err
		}
		artifacts := filepath.Join(s.folder, id)
		if err := machine.Make(ctx, root, "build-"+id, "ARTIFACTS_DIR="+artifacts, "ARCH="+machine.Architecture()); err != nil {
			return err
		}
		variables := function.Environment
		if _, paced := variables[rateVariable]; paced {
			variables[rateVariable] = "100000" // a stand-in has no limit
		}
		variables["SSL_CERT_FILE"] = s.trust.file
		ours := s.subject("ours", filepath.Join(artifacts, "bootstrap"), variables)
		ours.config.MemorySize = function.MemorySize
		*into = append(*into, ours)
	}
	return nil
}

// rateVariable is how many requests to Veryfi a function makes in a second.
const rateVariable = "VERYFI_REQUESTS_PER_SECOND"

// compared are the bare functions in Go, built as AWS recommends, with the usual
// certificates.
func (s *subjects) compared(ctx context.Context, root string) error {
	for _, bare := range []struct {
		name, program, floorOf string
		into                   *[]subject
	}{
		{"floor", "floor", "webhook", &s.webhooks},
		{"empty function", "hello", "", &s.webhooks},
		{"floor", "floor", "processor", &s.processors},
	} {
		bootstrap := filepath.Join(s.folder, bare.program)
		if err := buildCompared(ctx, root, bare.program, bootstrap, runtime.GOARCH); err != nil {
			return err
		}
		variables := s.trust.environment()
		variables["FLOOR_OF"] = bare.floorOf
		*bare.into = append(*bare.into, s.subject(bare.name, bootstrap, variables))
	}
	return nil
}

// python are the functions of compared/receiver.py, where Python has what they need.
func (s *subjects) python(b *bench) error {
	interpreter := filepath.Join(b.Root, ".tools", "venv", "bin", "python")
	if err := exec.Command(interpreter, "-c", "import awslambdaric, boto3").Run(); err != nil {
		b.Progress("the Python receiver is skipped: `make bench` sets up its environment where Python is")
		return nil //nolint:nilerr // nothing else needs it
	}
	sources := filepath.Join(b.Root, "proof", "bench", "compared")
	for handler, into := range map[string]*[]subject{"webhook": &s.webhooks, "processor": &s.processors} {
		bootstrap := filepath.Join(s.folder, "python-"+handler)
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' -m awslambdaric receiver.%s\n", interpreter, handler)
		if err := os.WriteFile(bootstrap, []byte(script), 0o755); err != nil {
			return err
		}
		variables := s.trust.environment()
		maps.Copy(variables, map[string]string{
			"PYTHONPATH": sources, "PYTHONDONTWRITEBYTECODE": "1", "LAMBDA_TASK_ROOT": sources,
			"AWS_CA_BUNDLE": s.trust.file, "AWS_DEFAULT_REGION": region,
			"QUEUE_URL": s.upstream.URL + "/" + queueURL, "TABLE_NAME": "documents", "VERYFI_SECRET_ID": secretID,
		})
		python := s.subject("Python", bootstrap, variables)
		python.round = round / 10 // it is slow
		*into = append(*into, python)
	}
	return nil
}

const region = "us-east-1"

// subject returns a function that finds the upstream.
func (s *subjects) subject(name, bootstrap string, variables map[string]string) subject {
	maps.Copy(variables, map[string]string{
		"AWS_ENDPOINT_URL": s.upstream.URL, "VERYFI_BASE_URL": s.upstream.URL,
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
	})
	return subject{name: name, round: round, config: lambda.Config{
		Name: name, Bootstrap: bootstrap, Timeout: time.Minute, MemorySize: fullMemory,
		Environment: variables, Region: region, MaxConcurrency: 1, Log: func(string) {},
	}}
}

// with returns the subject with another value of a variable.
func (s subject) with(variable, value string) subject {
	s.config.Environment = maps.Clone(s.config.Environment)
	s.config.Environment[variable] = value
	return s
}

// batch returns an event of SQS with n documents to retrieve.
func batch(n int) []byte {
	var e events.SQSEvent
	for i := range n {
		id := 1_000_000 + int64(i)
		body := event.Message{Version: 1, Event: event.DocumentCreated, ID: id, Created: "2026-06-25 14:03:04", RequestID: "r"}.Encode()
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: strconv.FormatInt(id, 10), ReceiptHandle: "h", Body: body, EventSource: "aws:sqs",
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return text
}

var errWrongAnswer = errors.New("the function did not do its work")

// check sees that a function has done what is measured.
func check(response []byte) error {
	var answer struct {
		StatusCode        int
		BatchItemFailures []any
	}
	if err := json.Unmarshal(response, &answer); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != 0 || len(answer.BatchItemFailures) > 0 {
		return fmt.Errorf("%w: it answered %.200s", errWrongAnswer, response)
	}
	return nil
}

// trust is where the functions find certificates: those of this system, and the
// upstream's.
type trust struct{ file, folders string }

// systemBundles are where Linux distributions have their certificates.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
}

var errNoBundle = errors.New("this system has no bundle of root certificates: install ca-certificates")

// newTrust lays certificates out as Amazon Linux 2023 does: a bundle, and two
// folders that have it again.
func newTrust(folder string, upstream *x509.Certificate) (trust, error) {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Raw})
	for _, path := range systemBundles {
		bundle, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		t := trust{file: filepath.Join(folder, "bundle.pem")}
		err = os.WriteFile(t.file, append(bundle, authority...), 0o644)
		for _, name := range []string{"certs1", "certs2"} {
			err = errors.Join(err, os.Mkdir(filepath.Join(folder, name), 0o755), os.Link(t.file, filepath.Join(folder, name, "bundle.crt")))
		}
		t.folders = filepath.Join(folder, "certs1") + ":" + filepath.Join(folder, "certs2")
		return t, err
	}
	return trust{}, errNoBundle
}

// environment is how a function usually finds certificates: each of them three times.
func (t trust) environment() map[string]string {
	return map[string]string{"SSL_CERT_FILE": t.file, "SSL_CERT_DIR": t.folders}
}
