package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules = flag.Int("schedules", defaultSchedules, "how many schedules TestSchedules runs")
	firstSeed = flag.Uint64("seed", 0, "the first seed; 0 draws one")
	progress  = flag.Bool("progress", false, "show how far TestSchedules is")
)

// Schedules leave garbage and keep little: they are a third faster when it is collected
// late. The outage keeps much.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(2 << 30)
	os.Exit(m.Run())
}

// TestSchedules runs schedules with seeds that follow one another.
func TestSchedules(t *testing.T) {
	t.Parallel()
	n, seed := *schedules, *firstSeed
	if testing.Short() {
		n = min(n, 300)
	}
	if seed == 0 {
		seed = 1 + rand.Uint64()>>20
	}
	var done atomic.Int64
	start := time.Now()
	for worker := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
			t.Parallel()
			for !t.Failed() {
				i := done.Add(1)
				if i > int64(n) {
					return
				}
				runSeed(t, seed+uint64(i)-1)
				if *progress && i%1000 == 0 {
					fmt.Fprintf(os.Stderr, "\r%d of %d schedules, %.0f a second ", i, n, float64(i)/time.Since(start).Seconds())
				}
			}
		})
	}
}

// runSeed runs a schedule, and when a promise is broken once more, with its story.
func runSeed(t *testing.T, seed uint64) {
	t.Helper()
	var violations []string
	synctest.Test(t, func(*testing.T) { violations = Run(seed, nil) })
	if violations == nil {
		return
	}
	lines := storyOf(t, seed)
	t.Errorf("seed %d: %s\n\nThe story:\n%s\nTo see it again: make simulate SCHEDULES=1 SEED=%[1]d", seed, strings.Join(violations, "\n"), strings.Join(lines, "\n"))
}

// storyOf runs a schedule and returns its story.
func storyOf(t *testing.T, seed uint64) (lines []string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		Run(seed, func(line string) { lines = append(lines, line) })
	})
	return lines
}
