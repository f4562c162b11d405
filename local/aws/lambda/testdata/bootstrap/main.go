// The bootstrap of the tests does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		os.Exit(7)
	case "log":
		fmt.Println("init")
	}
	lambda.Start(handle)
}

type event struct {
	Do     string        `json:"do"`
	Millis time.Duration `json:"millis"`
}

func handle(ctx context.Context, e event) (any, error) {
	switch e.Do {
	case "error":
		return nil, errors.New("as told")
	case "panic":
		panic("as told")
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(e.Millis * time.Millisecond)
	case "environ":
		return os.Environ(), nil
	case "large":
		return strings.Repeat("x", 7<<20), nil
	case "log":
		fmt.Println("one")
		fmt.Fprintln(os.Stderr, "two")
	case "deadline":
		deadline, _ := ctx.Deadline()
		return time.Until(deadline).Milliseconds(), nil
	}
	return os.Getpid(), nil
}
