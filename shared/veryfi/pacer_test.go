package veryfi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausedProcessDoesNotCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 100 * time.Millisecond
		p := newPacer(interval, time.Now)
		time.Sleep(20 * interval) // turns that nobody took
		start := time.Now()
		for i := range 5 {
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if at := time.Since(start); at != time.Duration(i)*interval {
				t.Errorf("request %d goes after %v", i, at)
			}
		}
	})
}

func TestTurnIsGivenBackWhenItsRequestIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(time.Minute, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := p.wait(ctx); !errors.Is(err, ErrNoTime) {
			t.Errorf("got %v", err)
		}
		if err := p.wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
