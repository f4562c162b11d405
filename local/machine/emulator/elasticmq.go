package emulator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Queue is declared when ElasticMQ starts. ElasticMQ has no retention period:
// it keeps a message until it is deleted.
type Queue struct {
	Name              string
	VisibilityTimeout time.Duration
	// DeadLetterQueue is the name of the queue that a message is moved to when
	// it was received MaxReceiveCount times; "" is none.
	DeadLetterQueue string
	MaxReceiveCount int
}

// StartElasticMQ starts ElasticMQ with the queues, under SQS's own limits.
func StartElasticMQ(ctx context.Context, queues []Queue, options Options) (*Emulator, error) {
	commandLine := func(library, temporary string, port int) ([]string, error) {
		file := filepath.Join(temporary, "elasticmq.conf")
		if err := os.WriteFile(file, []byte(elasticMQConfig(queues, port)), 0o600); err != nil {
			return nil, err
		}
		return []string{"-Dconfig.file=" + file, "-cp", library + "/*", "org.elasticmq.server.Main"}, nil
	}
	return start(ctx, program{name: "elasticmq", commandLine: commandLine}, options)
}

func elasticMQConfig(queues []Queue, port int) string {
	var config strings.Builder
	fmt.Fprintf(&config, `include classpath("application.conf")
node-address { host = 127.0.0.1, port = %[1]d }
rest-sqs { enabled = true, bind-hostname = "127.0.0.1", bind-port = %[1]d, sqs-limits = strict }
rest-stats.enabled = false
queues {
`, port)
	for _, q := range queues {
		fmt.Fprintf(&config, "  %q { defaultVisibilityTimeout = %d seconds", q.Name, int(q.VisibilityTimeout.Seconds()))
		if q.DeadLetterQueue != "" {
			fmt.Fprintf(&config, ", deadLettersQueue { name = %q, maxReceiveCount = %d }", q.DeadLetterQueue, q.MaxReceiveCount)
		}
		config.WriteString(" }\n")
	}
	config.WriteString("}\n")
	return config.String()
}
