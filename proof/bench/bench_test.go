package bench

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/stack"
)

func TestQuartiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   [3]float64
	}{
		{[]float64{7}, [3]float64{7, 7, 7}},
		{[]float64{4, 1, 3, 2, 5}, [3]float64{2, 3, 4}},
		{[]float64{4, 1, 3, 2}, [3]float64{1.75, 2.5, 3.25}},
	} {
		f := figure{values: test.values}
		if got := [3]float64{f.percentile(0.25), f.percentile(0.5), f.percentile(0.75)}; got != test.want {
			t.Errorf("%v: %v", test.values, got)
		}
	}
	if nothing := (&figure{}); !math.IsNaN(nothing.percentile(0.5)) {
		t.Error("nothing has a median")
	}
}

// TestRatiosArePaired holds because a machine that gets slower meanwhile slows
// both.
func TestRatiosArePaired(t *testing.T) {
	t.Parallel()
	var ours, theirs figure
	for _, slow := range []time.Duration{2 * time.Millisecond, 10 * time.Millisecond, 4 * time.Millisecond, 20 * time.Millisecond} {
		ours.add(slow)
		theirs.add(2 * slow)
	}
	got := ratios(coldTitle + "webhook")
	got.compare("128 MB, floor", theirs, ours)
	got.compare("256 MB, floor", ours, ours)
	want := &Table{
		Title: coldTitle + "webhook", Headers: []string{"what", "ours", "compared", "ratio", "quartiles", "target", ""}, Missed: 1,
		Rows: [][]string{
			{"128 MB, floor", "14.0 ms", "7.0 ms", "2.00", "2.00–2.00", "≤ 0.15", "missed"},
			{"256 MB, floor", "7.0 ms", "7.0 ms", "1.00", "1.00–1.00", "", ""},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"unthrottled, floor"}, got.unmeasured()); diff != "" {
		t.Errorf("unmeasured: -want +got:\n%s", diff)
	}
	got.compare("unthrottled, floor", ours, theirs)
	if last := got.Rows[2]; last[6] != "met" || got.Missed != 1 || got.unmeasured() != nil {
		t.Errorf("%s, and %d targets are missed", last, got.Missed)
	}
}

// TestSubjectsDoTheirWork starts the programs that are measured: one that fails is
// fast.
func TestSubjectsDoTheirWork(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("whole functions are measured on Linux")
	}
	credentials, err := stack.SampleCredentials(root) // which the event in events/ is signed with
	if err != nil {
		t.Fatal(err)
	}
	b := bench{Options: Options{Root: root, Credentials: credentials, Progress: func(string) {}}}
	s, err := b.newSubjects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, test := range []struct {
		subject        subject
		event          []byte
		messages, rows int64
	}{
		{s.webhooks[0], s.request, 1, 0},
		{s.webhooks[1], s.request, 0, 0},
		{s.webhooks[2], s.request, 0, 0},
		{s.processors[0], batch(10), 0, 10},
		{s.processors[1], batch(10), 0, 0},
	} {
		messages, rows := int64(s.upstream.queue.Stats().Sent), s.upstream.rows.Load()
		instance, took, err := b.start(t.Context(), test.subject, test.event, unthrottled)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(instance.function.Close)
		if messages, rows = int64(s.upstream.queue.Stats().Sent)-messages, s.upstream.rows.Load()-rows; messages != test.messages || rows != test.rows {
			t.Errorf("%s sent %d messages and wrote %d rows", test.subject.config.Bootstrap, messages, rows)
		}
		cpu, err := cpuTime(instance.pid)
		if err != nil || cpu <= 0 || cpu > 10*took {
			t.Errorf("%v of CPU within %v: %v", cpu, took, err)
		}
		if memory, err := peakMemory(instance.pid); err != nil || memory < 1<<20 {
			t.Errorf("%d bytes of memory: %v", memory, err)
		}
	}
	forged := s.request[:len(s.request)/2]
	if _, _, err := b.start(t.Context(), s.webhooks[0], forged, unthrottled); err == nil {
		t.Error("an event that is cut off was measured")
	}
}
