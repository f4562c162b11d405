package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const url = "https://sqs.eu-central-1.amazonaws.com/123456789012/DocumentQueue"

// A verdict is what SQS does with a message.
type verdict string

const (
	accepted  verdict = ""
	forgotten verdict = "named neither as accepted nor as refused"
	busy      verdict = "InternalError"
	wrong     verdict = "InvalidMessageContents" // the sender's fault
)

// memory is SQS in memory, with SQS's limits. A call takes time and ends with the context,
// as with the real client.
type memory struct {
	took   time.Duration
	decide func(body string, times int) verdict // about a body that came so often; nil accepts all
	err    error

	mu      sync.Mutex
	running int
	most    int            // calls that ran side by side
	bodies  map[string]int // how often each was accepted
	seen    map[string]int // how often each was sent
	sizes   []int          // entries in each call
	times   []time.Time    // of each call
	delays  []sqs.ChangeMessageVisibilityInput
}

func (m *memory) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	m.mu.Lock()
	m.times, m.sizes = append(m.times, time.Now()), append(m.sizes, len(in.Entries))
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	select {
	case <-time.After(m.took):
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case m.err != nil:
		return nil, m.err
	}
	return m.take(in)
}

func (m *memory) take(in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	size, ids := 0, map[string]bool{}
	for _, e := range in.Entries {
		size += len(*e.MessageBody)
		ids[*e.Id] = true
	}
	if *in.QueueUrl != url || len(in.Entries) == 0 || len(in.Entries) > 10 || size > 1<<20 || len(ids) != len(in.Entries) {
		return nil, fmt.Errorf("SQS refuses %d entries with %d ids and %d bytes for %s", len(in.Entries), len(ids), size, *in.QueueUrl)
	}
	if m.bodies == nil {
		m.bodies, m.seen = map[string]int{}, map[string]int{}
	}
	var out sqs.SendMessageBatchOutput
	for _, e := range in.Entries {
		body, v := *e.MessageBody, accepted
		m.seen[body]++
		if m.decide != nil {
			v = m.decide(body, m.seen[body])
		}
		switch v {
		case accepted:
			m.bodies[body]++
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
		case forgotten:
		default:
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String(string(v)), Message: &body, SenderFault: v == wrong})
		}
	}
	// SQS promises no order.
	rand.Shuffle(len(out.Successful), func(i, j int) {
		out.Successful[i], out.Successful[j] = out.Successful[j], out.Successful[i]
	})
	return &out, nil
}

func (m *memory) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	m.delays = append(m.delays, *in)
	return &sqs.ChangeMessageVisibilityOutput{}, m.err
}

// send sends so many messages, in a time of its own.
func (m *memory) send(t *testing.T, n int) (took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err = New(m, url).Send(t.Context(), numbered(n)...)
		took = time.Since(start)
	})
	return took, err
}

func body(id int) string { return fmt.Sprintf(`{"id":%d}`, id) }

func numbered(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = body(i + 1)
	}
	return bodies
}

func once(bodies []string) map[string]int {
	want := map[string]int{}
	for _, body := range bodies {
		want[body]++
	}
	return want
}

func TestBatchesFitIntoACall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom([]int{1, 99_999, 100_000, 100_001, 500_000, 500_001, 999_999, 1_000_000})), 0, 60).Draw(t, "sizes")
		bodies := make([]string, len(sizes))
		zeros := strings.Repeat("0", MaxBody)
		for i, size := range sizes {
			bodies[i] = zeros[:size]
		}
		var joined []string
		previous, previousSize := 0, 0
		for batch := range batches(bodies) {
			size := len(strings.Join(batch, ""))
			if len(batch) == 0 || len(batch) > 10 || size > 1_000_000 {
				t.Fatalf("a batch of %d with %d bytes", len(batch), size)
			}
			// No batch could have taken in the first body of the next one.
			if previous > 0 && previous < 10 && previousSize+len(batch[0]) <= 1_000_000 {
				t.Fatalf("a batch of %d with %d bytes is not full", previous, previousSize)
			}
			previous, previousSize = len(batch), size
			joined = append(joined, batch...)
		}
		if !slices.Equal(joined, bodies) {
			t.Fatal("the batches are not what was to be sent")
		}
	})
}

func TestBatchesEndWhenNoMoreAreWanted(t *testing.T) {
	t.Parallel()
	for range batches(numbered(25)) {
		break
	}
}

func TestThousandMessagesFitTheTimeOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		m     *memory
		most  time.Duration
		calls int
	}{
		"all accepted": {&memory{took: 100 * time.Millisecond}, 2 * time.Second, 100},
		"each refused once": {&memory{took: 300 * time.Millisecond, decide: func(_ string, times int) verdict {
			return map[bool]verdict{true: busy}[times == 1]
		}}, 10 * time.Second, 200},
	} {
		m := test.m
		took, err := m.send(t, 1000)
		if err != nil || took > test.most || len(m.times) != test.calls || m.most > maxCalls {
			t.Errorf("%s: %d calls, %d side by side, took %v: %v", name, len(m.times), m.most, took, err)
		}
		if diff := cmp.Diff(once(numbered(1000)), m.bodies); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNothingToSendIsNoCall(t *testing.T) {
	t.Parallel()
	m := &memory{}
	if _, err := m.send(t, 0); err != nil || len(m.times) != 0 {
		t.Errorf("%d calls, %v", len(m.times), err)
	}
}

func TestOnlyMessagesThatWereNotAcceptedAreSentAgain(t *testing.T) {
	t.Parallel()
	m := &memory{decide: func(b string, times int) verdict {
		switch {
		case b == body(3) && times < maxRounds:
			return busy
		case b == body(7) && times < 2:
			return forgotten
		}
		return accepted
	}}
	if _, err := m.send(t, 8); err != nil {
		t.Fatal(err)
	}
	want := once(numbered(8))
	if diff := cmp.Diff(want, m.bodies); diff != "" {
		t.Error(diff)
	}
	want[body(3)], want[body(7)] = maxRounds, 2
	if diff := cmp.Diff(want, m.seen); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(m.sizes, []int{8, 2, 1, 1}) {
		t.Errorf("calls of %v", m.sizes)
	}
	for i := 2; i < len(m.times); i++ {
		if m.times[i].Sub(m.times[i-1]) <= m.times[i-1].Sub(m.times[i-2]) {
			t.Errorf("the pauses do not grow: %v", m.times)
		}
	}
}

// TestMessageThatIsNeverAcceptedIsAnError has one of these among others.
func TestMessageThatIsNeverAcceptedIsAnError(t *testing.T) {
	t.Parallel()
	down := errors.New("SQS is down")
	for name, test := range map[string]struct {
		m     *memory
		n     int
		calls int // at most
		says  string
	}{
		"refused each time": {&memory{decide: func(b string, _ int) verdict { return map[string]verdict{body(2): busy}[b] }}, 3, maxRounds, "1 messages were refused 4 times"},
		"never named":       {&memory{decide: func(b string, _ int) verdict { return map[string]verdict{body(2): forgotten}[b] }}, 3, maxRounds, "1 messages were refused 4 times"},
		// Nothing is sent again because of the first one.
		"wrong":              {&memory{decide: func(b string, _ int) verdict { return map[string]verdict{body(1): busy, body(2): wrong}[b] }}, 3, 1, "InvalidMessageContents"},
		"wrong, in the last": {&memory{decide: func(b string, _ int) verdict { return map[string]verdict{body(991): wrong}[b] }}, 991, 100, "InvalidMessageContents"},
		// The SDK has repeated each call already.
		"all calls fail": {&memory{took: 100 * time.Millisecond, err: down}, 1000, 2 * maxCalls, "SQS is down"},
	} {
		m := test.m
		took, err := m.send(t, test.n)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), `"id"`) || errors.Is(err, down) != (m.err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if m.running != 0 || len(m.times) > test.calls || took > 400*time.Millisecond || m.seen[body(2)] > maxRounds {
			t.Errorf("%s: %d calls, %d still run, took %v", name, len(m.times), m.running, took)
		}
	}
}

// TestSendIsDoneOnlyWhenAllAreIn lets SQS do what it may do, and asks what nil
// stands for.
func TestSendIsDoneOnlyWhenAllAreIn(t *testing.T) {
	t.Parallel()
	done, failed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 120).Draw(rt, "messages")
		trouble := rapid.SampledFrom([]int{0, 5, 30, 60}).Draw(rt, "percent of trouble")
		seed := rapid.Uint64().Draw(rt, "seed")
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			m := &memory{took: 10 * time.Millisecond, decide: func(string, int) verdict {
				if r.IntN(100) < trouble {
					return []verdict{busy, forgotten}[r.IntN(2)]
				}
				return accepted
			}}
			bodies := numbered(n)
			if err := New(m, url).Send(t.Context(), bodies...); err != nil {
				failed++
				return
			}
			done++
			for _, body := range bodies {
				if m.bodies[body] != 1 {
					rt.Fatalf("%s is %d times in the queue", body, m.bodies[body])
				}
			}
		})
	})
	if done == 0 || failed == 0 {
		t.Errorf("the test is wrong: %d were sent, %d were not", done, failed)
	}
}

func TestSendEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*memory{
		"in a call":  {took: time.Hour},
		"in a pause": {decide: func(string, int) verdict { return busy }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := New(m, url).Send(ctx, numbered(1000)...)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Millisecond {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m := &memory{}
		if err := New(m, url).Send(ctx, numbered(25)...); !errors.Is(err, context.Canceled) || len(m.bodies) != 0 {
			t.Errorf("%d are in, %v", len(m.bodies), err)
		}
	})
}

func TestQueueServesManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{took: time.Millisecond}
		q := New(m, url)
		bodies := numbered(300)
		var wg sync.WaitGroup
		for part := range slices.Chunk(bodies, 30) {
			wg.Go(func() {
				if err := q.Send(t.Context(), part...); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if !maps.Equal(once(bodies), m.bodies) {
			t.Errorf("%d are in", len(m.bodies))
		}
	})
}

func TestDelayIsRoundedUpAndCut(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int32{
		0:                             0,
		time.Nanosecond:               1,
		999 * time.Millisecond:        1,
		time.Second:                   1,
		time.Second + time.Nanosecond: 2,
		90 * time.Second:              90,
		11*time.Hour - 1:              39_600,
		11 * time.Hour:                39_600,
		11*time.Hour + 1:              39_600,
		12 * time.Hour:                39_600,
		1<<63 - 1:                     39_600,
	} {
		m := &memory{}
		if err := New(m, url).Delay(t.Context(), "a receipt", d); err != nil {
			t.Fatal(err)
		}
		if got := m.delays[0]; len(m.delays) != 1 || got.VisibilityTimeout != want || *got.QueueUrl != url || *got.ReceiptHandle != "a receipt" {
			t.Errorf("%v: got %d", d, got.VisibilityTimeout)
		}
	}
}

func TestDelayThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	gone := &types.MessageNotInflight{}
	if err := New(&memory{err: gone}, url).Delay(t.Context(), "a receipt", time.Second); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestConnectAsksForNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var methods []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, r.Method)
	}))
	defer server.Close()
	client := sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s"}, nil
		}),
	})
	New(client, server.URL+"/123456789012/DocumentQueue").Connect(t.Context())
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{http.MethodHead}, methods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
