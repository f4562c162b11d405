package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/deployment/template"
)

const (
	// readyWithin is how long an emulator may take to answer: they need two
	// seconds on an idle machine.
	readyWithin = 60 * time.Second
	// readyPoll is the time between two looks whether it answers.
	readyPoll = 20 * time.Millisecond
	// portTries is how often a start is tried when another program takes the
	// free port before the emulator does.
	portTries = 3
)

// Options say where emulators are kept and who hears of a fetch.
type Options struct {
	// Directory holds one folder per emulator and version; it is created.
	Directory string
	// Progress gets in a few words what takes long.
	Progress func(string)
}

// An Emulator is a running stand-in for one AWS service. It is a Java program and
// keeps all it holds in memory.
type Emulator struct {
	// Address is the host and port of the service, on 127.0.0.1.
	Address string
	// AccessKey is for DynamoDB, drawn at random; ElasticMQ takes any.
	AccessKey string

	process   *Process
	temporary string
}

// URL returns where the service is.
func (e *Emulator) URL() string { return "http://" + e.Address }

// Stop ends the emulator and removes its temporary files.
func (e *Emulator) Stop() {
	e.process.Kill()
	os.RemoveAll(e.temporary)
}

// StartDynamoDB starts DynamoDB Local with no table in it. It listens on all
// interfaces, and no option changes that. But it keeps the tables of each access key
// and region apart: nobody else on the network finds what is created with the
// emulator's AccessKey.
func StartDynamoDB(ctx context.Context, options Options) (*Emulator, error) {
	emulator, err := startEmulator(ctx, "dynamodb", options, func(library, _ string, port int) ([]string, error) {
		return []string{
			"-Djava.library.path=" + library, // libsqlite4java
			"-cp", library + "/*",
			"software.amazon.dynamodb.services.local.main.ServerRunner",
			"-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port),
		}, nil
	})
	if err == nil {
		emulator.AccessKey = rand.Text()
	}
	return emulator, err
}

// StartElasticMQ starts ElasticMQ with queues of these names, under SQS's own limits.
// It has no retention period: it keeps a message until it is deleted.
func StartElasticMQ(ctx context.Context, queues map[string]template.Queue, options Options) (*Emulator, error) {
	return startEmulator(ctx, "elasticmq", options, func(library, temporary string, port int) ([]string, error) {
		file := filepath.Join(temporary, "elasticmq.conf")
		if err := os.WriteFile(file, []byte(elasticMQConfig(queues, port)), 0o600); err != nil {
			return nil, err
		}
		return []string{"-Dconfig.file=" + file, "-cp", library + "/*", "org.elasticmq.server.Main"}, nil
	})
}

func elasticMQConfig(queues map[string]template.Queue, port int) string {
	var config strings.Builder
	fmt.Fprintf(&config, `include classpath("application.conf")
node-address { host = 127.0.0.1, port = %[1]d }
rest-sqs { enabled = true, bind-hostname = "127.0.0.1", bind-port = %[1]d, sqs-limits = strict }
rest-stats.enabled = false
queues {
`, port)
	for name, q := range queues {
		fmt.Fprintf(&config, "  %q { defaultVisibilityTimeout = %d seconds", name, int(q.VisibilityTimeout.Seconds()))
		if q.DeadLetterQueue != "" {
			fmt.Fprintf(&config, ", deadLettersQueue { name = %q, maxReceiveCount = %d }", q.DeadLetterQueue, q.MaxReceiveCount)
		}
		config.WriteString(" }\n")
	}
	config.WriteString("}\n")
	return config.String()
}

var (
	errJava      = errors.New("Java 17 or newer is missing: install it (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk) and run this again")
	errPortTaken = errors.New("the port was taken meanwhile")
)

// An arguments function returns Java's arguments for a folder of jars, a folder for
// temporary files and a port.
type arguments func(library, temporary string, port int) ([]string, error)

// startEmulator runs a Java program on a free port and waits until it answers.
func startEmulator(ctx context.Context, name string, options Options, arguments arguments) (*Emulator, error) {
	if _, err := exec.LookPath("java"); err != nil { // before a fetch of many megabytes
		return nil, errJava
	}
	library, err := library(ctx, options.Directory, name, options.Progress)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		emulator, err := runEmulator(ctx, name, library, arguments)
		if errors.Is(err, errPortTaken) && try < portTries {
			continue
		}
		return emulator, err
	}
}

func runEmulator(ctx context.Context, name, library string, arguments arguments) (*Emulator, error) {
	temporary, err := os.MkdirTemp("", "veryfi-intake-"+name+"-")
	if err != nil {
		return nil, err
	}
	e := &Emulator{temporary: temporary}
	if err := e.run(ctx, name, library, arguments); err != nil {
		os.RemoveAll(temporary)
		return nil, err
	}
	return e, nil
}

func (e *Emulator) run(ctx context.Context, name, library string, arguments arguments) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	e.Address = "127.0.0.1:" + strconv.Itoa(port)
	own, err := arguments(library, e.temporary, port)
	if err != nil {
		return err
	}
	// Quick to start rather than quick in the long run, and no files but in
	// the temporary folder.
	java := exec.Command("java", append([]string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.io.tmpdir=" + e.temporary,
	}, own...)...)
	var printed tail
	java.Dir = e.temporary
	java.Stdout, java.Stderr = &printed, &printed
	if e.process, err = Start(java); err != nil {
		return err
	}
	if err := e.waitReady(ctx); err != nil {
		e.process.Kill()
		return explain(name, err, printed.String())
	}
	return nil
}

// explain makes one error of why an emulator did not become ready and what it
// said.
func explain(name string, err error, output string) error {
	switch {
	case strings.Contains(output, "UnsupportedClassVersionError"):
		return errJava
	case strings.Contains(output, "Address already in use"), strings.Contains(output, "BindException"), strings.Contains(output, "Bind failed"):
		return fmt.Errorf("%s: %w", name, errPortTaken)
	default:
		return fmt.Errorf("%s did not start (%w); it said:\n%s", name, err, output)
	}
}

// waitReady returns nil once the emulator answers a request, whatever it says.
func (e *Emulator) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no answer within %v", readyWithin))
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL(), nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		select {
		case <-e.process.Exited(): // another program may have answered
			return fmt.Errorf("it ended: %s", e.process.Ending())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(readyPoll):
		}
		if err == nil {
			return nil
		}
	}
}

// freePort returns a port of 127.0.0.1 that nobody listens on now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return int(netip.MustParseAddrPort(listener.Addr().String()).Port()), nil
}
