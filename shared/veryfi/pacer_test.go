package veryfi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/shared/failure"
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

func throttled(after time.Duration) error {
	return &Error{Class: failure.Throttled, Status: http.StatusTooManyRequests, RetryAfter: after}
}

func TestA429StopsAllRequestsForAsLongAsItSays(t *testing.T) {
	for name, pause := range map[string]struct{ says, is time.Duration }{
		"half a minute": {30 * time.Second, 30 * time.Second},
		"nothing":       {0, defaultPause},
		"a day":         {24 * time.Hour, maxPause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const interval = 100 * time.Millisecond
				p := newPacer(interval, time.Now)
				if err := p.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				went := make(chan time.Duration, 3)
				for range 3 {
					go func() {
						if p.wait(t.Context()) == nil {
							went <- time.Since(start)
						}
					}()
				}
				time.Sleep(interval / 2) // one of them waits for its turn by now
				start = time.Now()
				p.note(throttled(pause.says))
				for i := range 3 {
					if at := <-went; at != pause.is+time.Duration(i)*interval {
						t.Errorf("request %d goes after %v", i, at)
					}
				}
			})
		})
	}
}

// TestShorterPauseDoesNotCutALongerOne has two requests answered 429, one after the
// other.
func TestShorterPauseDoesNotCutALongerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(time.Millisecond, time.Now)
		start := time.Now()
		p.note(throttled(time.Minute))
		p.note(throttled(time.Second))
		if err := p.wait(t.Context()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("goes after %v, %v", time.Since(start), err)
		}
	})
}

// TestPauseHoldsTheBatch keeps a function from handing back batch after batch.
func TestPauseHoldsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(time.Millisecond, time.Now)
		time.Sleep(time.Second)
		p.note(throttled(10 * time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				err := p.wait(ctx)
				var stopped *Error
				if !errors.As(err, &stopped) || stopped.Class != failure.Throttled || stopped.RetryAfter != 10*time.Minute-(time.Minute-leastTime) {
					t.Errorf("got %+v", err)
				}
			})
		}
		group.Wait()
		if held := time.Since(start); held != time.Minute-leastTime {
			t.Errorf("held for %v", held)
		}
	})
}

func TestFailuresInARowSlowDownUntilTheFirstSuccess(t *testing.T) {
	const interval = 100 * time.Millisecond
	for name, result := range map[string]struct {
		err  error
		slow bool
	}{
		"unavailable":         {&Error{Class: failure.Unavailable, Status: 503}, true},
		"no answer":           {&Error{Class: failure.Unavailable}, true},
		"throttled":           {&Error{Class: failure.Throttled, Status: 409}, true},
		"credentials refused": {&Error{Class: failure.CredentialsRefused, Status: 401}, true},
		"unexpected":          {&Error{Class: failure.Unexpected, Status: 302}, true},
		"not found":           {&Error{Class: failure.NotFound, Status: 404}, false},
		"refused":             {&Error{Class: failure.Refused, Status: 400}, false},
		"too large":           {&Error{Class: failure.TooLarge, Status: 200}, false},
		"out of time":         {context.DeadlineExceeded, false},
		"success":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPacer(interval, time.Now)
				gap := func() time.Duration { // between two requests
					if err := p.wait(t.Context()); err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					if err := p.wait(t.Context()); err != nil {
						t.Fatal(err)
					}
					return time.Since(start)
				}
				for range patience {
					p.note(result.err)
				}
				if got := gap(); got != interval {
					t.Errorf("%v after %d failures", got, patience)
				}
				p.note(result.err)
				if got := gap(); result.slow && got != 2*interval || !result.slow && got != interval {
					t.Errorf("%v after %d failures", got, patience+1)
				}
				for range 1000 {
					p.note(result.err)
				}
				if got := gap(); result.slow && got != slowest || !result.slow && got != interval {
					t.Errorf("%v after very many failures", got)
				}
				p.note(nil)
				gap() // the turn that was set while it was slow
				if got := gap(); got != interval {
					t.Errorf("%v after a success", got)
				}
			})
		})
	}
}

func TestAClientThatIsSlowAnywayIsNotMadeFaster(t *testing.T) {
	p := newPacer(time.Minute, time.Now)
	for range 20 {
		p.note(&Error{Class: failure.Unavailable})
	}
	if got := p.spacing(); got != time.Minute {
		t.Error(got)
	}
}

func TestProcessorsAndReconcilersStayBelowTheLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		processors int
		rate       float64
		fits       bool
	}{{5, 11, true}, {5, 11.19, true}, {5, 11.2, false}, {8, 7, false}, {2, 28, false}, {2, 27.9, true}, {50, 1.2, false}} {
		if Fits(test.processors, test.rate) != test.fits {
			t.Errorf("%d processors with %v requests a second: fits is not %t", test.processors, test.rate, test.fits)
		}
	}
	if Reconcilers*ReconcilerRequestsPerSecond > ListsPerSecond {
		t.Error("two runs of the reconciler ask for more lists than Veryfi answers")
	}
}
