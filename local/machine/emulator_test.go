package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/deployment/template"
)

// directory is where the whole clone keeps the emulators.
const directory = "../../.tools/emulators"

func options(t *testing.T) Options {
	absolute, err := filepath.Abs(directory)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Directory: absolute, Progress: func(s string) { t.Log(s) }}
}

func credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
}

func TestEmulatorsStartSideBySide(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two Java programs")
	}
	t.Parallel()
	queues := map[string]template.Queue{
		"Main": {VisibilityTimeout: 42 * time.Second, DeadLetterQueue: "Dead", MaxReceiveCount: 7},
		"Dead": {VisibilityTimeout: 30 * time.Second},
	}
	var group sync.WaitGroup
	group.Go(func() {
		emulator, err := StartDynamoDB(t.Context(), options(t))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(emulator.Stop)
		client := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(emulator.URL()), Credentials: aws.CredentialsProviderFunc(credentials)})
		if _, err := client.ListTables(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
	group.Go(func() {
		emulator, err := StartElasticMQ(t.Context(), queues, options(t))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(emulator.Stop)
		client := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: aws.String(emulator.URL()), Credentials: aws.CredentialsProviderFunc(credentials)})
		answer, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl:       aws.String(emulator.URL() + "/000000000000/Main"),
			AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			t.Error(err)
			return
		}
		if got := answer.Attributes["VisibilityTimeout"]; got != "42" {
			t.Errorf("VisibilityTimeout is %s, want 42", got)
		}
		if got := answer.Attributes["RedrivePolicy"]; !strings.Contains(got, "Dead") || !strings.Contains(got, "7") {
			t.Errorf("RedrivePolicy is %s, want 7 receives, then Dead", got)
		}
	})
	group.Wait()
}

// In place of Java runs a shell script of the test's own.
func TestWhatJavaSaysBecomesAnError(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   string
	}{
		"too old":      {`echo "java.lang.UnsupportedClassVersionError: x has been compiled by a more recent version"; exit 1`, "Java 17 or newer is missing"},
		"port taken":   {`echo "java.net.BindException: Address already in use"; exit 1`, "the port was taken meanwhile"},
		"other reason": {`echo out of luck; exit 3`, "did not start (it ended: exit status 3); it said:\n  out of luck"},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			if err := os.WriteFile(filepath.Join(path, "java"), []byte("#!/bin/sh\n"+test.script), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", path+":"+os.Getenv("PATH"))
			_, err := runEmulator(t.Context(), "test", "", func(string, string, int) ([]string, error) { return nil, nil })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestMissingProgramsAreOneSentence(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := StartDynamoDB(t.Context(), options(t))
	if !errors.Is(err, errJava) {
		t.Errorf("without java: %v", err)
	}
	_, err = library(t.Context(), t.TempDir(), "elasticmq", func(string) {})
	if err == nil || !strings.Contains(err.Error(), "Maven is missing") {
		t.Errorf("without mvn: %v", err)
	}
}

// Several test processes of one clone may start with an empty folder.
func TestFetchIsWholeAndOnce(t *testing.T) {
	path, directory := t.TempDir(), t.TempDir()
	mvn := `#!/bin/sh
for a in "$@"; do case $a in -DoutputDirectory=*) out=${a#*=};; --strict-checksums) strict=1;; esac; done
test "$strict" || { echo 'A wrong checksum would be a warning.'; exit 1; }
mkdir -p "$out" && sleep 0.2 && echo jar > "$out/a.jar" && echo run >> ` + strconv.Quote(directory+"/runs")
	if err := os.WriteFile(filepath.Join(path, "mvn"), []byte(mvn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			folder, err := library(t.Context(), directory, "elasticmq", func(string) {})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(folder, "a.jar")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if runs, _ := os.ReadFile(directory + "/runs"); string(runs) != "run\n" {
		t.Errorf("mvn ran %d times, want once", strings.Count(string(runs), "run"))
	}
	if left, _ := filepath.Glob(directory + "/.fetching-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
