// Package emulator fetches and runs what stands in for AWS on one machine:
// DynamoDB Local for DynamoDB and ElasticMQ for SQS. Both are Java programs and
// keep all they hold in memory.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/local/machine/process"
)

const (
	// readyWithin is how long an emulator may take to answer: they need two
	// seconds on an idle machine.
	readyWithin = 60 * time.Second
	// portTries is how often a start is tried again when another program took
	// the free port before the emulator did.
	portTries = 3
)

// Options say where emulators are kept and who hears of a fetch.
type Options struct {
	// Directory holds one folder per emulator and version; it is created.
	Directory string
	// Progress is told in a few words what takes long.
	Progress func(string)
}

// An Emulator is a running stand-in for one AWS service.
type Emulator struct {
	// Endpoint is the URL of the service, on 127.0.0.1.
	Endpoint string
	// AccessKey is for DynamoDB, drawn at random; ElasticMQ takes any.
	AccessKey string

	process   *process.Process
	temporary string
}

// Stop ends the emulator and removes its temporary files.
func (e *Emulator) Stop() {
	e.process.Kill()
	os.RemoveAll(e.temporary)
}

// A program is how one emulator is started: commandLine returns Java's
// arguments for a library folder, a folder for temporary files and a port.
type program struct {
	name        string
	commandLine func(library, temporary string, port int) ([]string, error)
}

// start runs p on a free port and waits until it answers.
func start(ctx context.Context, p program, options Options) (*Emulator, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return nil, errJava
	}
	library, err := library(ctx, options.Directory, p.name, options.Progress)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		emulator, err := p.run(ctx, library)
		if errors.Is(err, errPortTaken) && try < portTries {
			continue
		}
		return emulator, err
	}
}

var (
	errJava      = errors.New("Java 17 or newer is missing: install it (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk) and run this again")
	errPortTaken = errors.New("the port was taken meanwhile")
)

func (p program) run(ctx context.Context, library string) (*Emulator, error) {
	temporary, err := os.MkdirTemp("", "veryfi-intake-"+p.name+"-")
	if err != nil {
		return nil, err
	}
	emulator, err := p.runIn(ctx, library, temporary)
	if err != nil {
		os.RemoveAll(temporary)
		return nil, err
	}
	return emulator, nil
}

func (p program) runIn(ctx context.Context, library, temporary string) (*Emulator, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	arguments, err := p.commandLine(library, temporary, port)
	if err != nil {
		return nil, err
	}
	var tail tail
	lines := process.NewLines(tail.add)
	// Quick to start rather than quick in the long run, and no files but in
	// the temporary folder.
	java := exec.Command("java", append([]string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.io.tmpdir=" + temporary,
	}, arguments...)...)
	java.Dir = temporary
	java.Stdout, java.Stderr = lines, lines
	child, err := process.Start(java)
	if err != nil {
		return nil, err
	}
	endpoint := "http://127.0.0.1:" + strconv.Itoa(port)
	if err := waitReady(ctx, child, endpoint); err != nil {
		child.Kill()
		lines.Flush()
		return nil, p.explain(err, tail.String())
	}
	return &Emulator{Endpoint: endpoint, process: child, temporary: temporary}, nil
}

// explain makes one error of why an emulator did not become ready and what it
// said.
func (p program) explain(err error, output string) error {
	switch {
	case strings.Contains(output, "UnsupportedClassVersionError"):
		return errJava
	case strings.Contains(output, "Address already in use"), strings.Contains(output, "BindException"), strings.Contains(output, "Bind failed"):
		return fmt.Errorf("%s: %w", p.name, errPortTaken)
	default:
		return fmt.Errorf("%s did not start (%w); it said:\n%s", p.name, err, output)
	}
}

// waitReady returns nil once the endpoint answers a request, whatever it says.
func waitReady(ctx context.Context, child *process.Process, endpoint string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no answer within %v", readyWithin))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		select {
		case <-child.Exited():
			return fmt.Errorf("it ended: %w", endOf(child))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if err == nil {
			return nil
		}
	}
}

func endOf(child *process.Process) error {
	if err := child.Err(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// freePort returns a port of 127.0.0.1 that nobody listens on now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(port)
}
