package emulator

import (
	"context"
	"crypto/rand"
	"strconv"
)

// StartDynamoDB starts DynamoDB Local with no table in it. It listens on all
// interfaces, and no option changes that. But it keeps the tables of each access key
// and region apart: what is created with the emulator's AccessKey, nobody else on the
// network finds.
func StartDynamoDB(ctx context.Context, options Options) (*Emulator, error) {
	emulator, err := start(ctx, program{name: "dynamodb", commandLine: dynamoDB}, options)
	if err == nil {
		emulator.AccessKey = rand.Text()
	}
	return emulator, err
}

func dynamoDB(library, _ string, port int) ([]string, error) {
	return []string{
		"-Djava.library.path=" + library, // libsqlite4java
		"-cp", library + "/*",
		"software.amazon.dynamodb.services.local.main.ServerRunner",
		"-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port),
	}, nil
}
