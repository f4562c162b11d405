// Package startup is how every function begins: it reads the settings, reports all
// mistakes in them together, and makes what all functions have. A main makes its handler of
// that, and gives it events once [Function.IsReady].
package startup

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/warmup"
)

// A Function has what a handler is made of.
type Function struct {
	Settings
	AWS     aws.Config
	Secrets *secret.Source
	Metrics metrics.Recorder
	Now     func() time.Time
	Log     *slog.Logger
}

// New returns what the environment asks for. After a mistake in it all members can be
// handed on, but not be used.
func New(getenv func(string) string, now func() time.Time, log *slog.Logger) *Function {
	f := &Function{Settings: Settings{getenv: getenv}, Metrics: metrics.New(getenv("STACK_NAME"), now), Now: now, Log: log}
	f.AWS = f.awsConfig()
	var err error
	f.Secrets, err = secret.Configured(getenv, secretsmanager.NewFromConfig(f.AWS), now)
	f.Check(err)
	return f
}

// IsReady runs the steps of [warmup.Run], unless a setting is wrong: then it logs all that
// are, and the process should end.
func (f *Function) IsReady(steps ...func(context.Context)) bool {
	if err := f.Err(); err != nil {
		f.Log.Error("the function cannot start", slog.String("error", err.Error()))
		return false
	}
	if len(steps) > 0 {
		warmup.Run(steps...)
	}
	return true
}
