package emulator

import (
	"context"
	"strconv"
)

// StartDynamoDB starts DynamoDB Local with no table in it. All access keys and
// regions see the same tables. It has no option to listen on 127.0.0.1 only.
func StartDynamoDB(ctx context.Context, options Options) (*Emulator, error) {
	return start(ctx, program{name: "dynamodb", commandLine: dynamoDB}, options)
}

func dynamoDB(library, _ string, port int) ([]string, error) {
	return []string{
		"-Djava.library.path=" + library, // libsqlite4java
		"-cp", library + "/*",
		"software.amazon.dynamodb.services.local.main.ServerRunner",
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port),
	}, nil
}
