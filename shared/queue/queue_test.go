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

// memory is SQS in memory, with SQS's limits. It takes its time for each call and
// ends with the context, as the real client does.
type memory struct {
	took time.Duration
	// refuse says of each body whether to refuse it, and why; nil takes all.
	refuse func(body string) *types.BatchResultErrorEntry
	// forget says whether a body is named neither as accepted nor as refused.
	forget func(body string) bool
	err    error

	mu      sync.Mutex
	calls   int
	running int
	most    int            // calls that ran side by side
	bodies  map[string]int // how often each was accepted
	seen    map[string]int // how often each was sent
	sizes   []int          // entries in each call
	times   []time.Time
	delays  []sqs.ChangeMessageVisibilityInput
}

func (m *memory) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.running++
	m.most = max(m.most, m.running)
	m.times = append(m.times, time.Now())
	if m.bodies == nil {
		m.bodies, m.seen = map[string]int{}, map[string]int{}
	}
}

func (m *memory) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	m.begin()
	select {
	case <-time.After(m.took):
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if m.err != nil {
		return nil, m.err
	}
	size, ids := 0, map[string]bool{}
	for _, e := range in.Entries {
		size += len(*e.MessageBody)
		ids[*e.Id] = true
	}
	if *in.QueueUrl != url || len(in.Entries) == 0 || len(in.Entries) > 10 || size > 1<<20 || len(ids) != len(in.Entries) {
		return nil, fmt.Errorf("SQS refuses %d entries with %d ids and %d bytes for %s", len(in.Entries), len(ids), size, *in.QueueUrl)
	}
	m.sizes = append(m.sizes, len(in.Entries))
	var out sqs.SendMessageBatchOutput
	for _, e := range in.Entries {
		m.seen[*e.MessageBody]++
		if m.refuse != nil {
			if refused := m.refuse(*e.MessageBody); refused != nil {
				refused.Id = e.Id
				out.Failed = append(out.Failed, *refused)
				continue
			}
		}
		if m.forget != nil && m.forget(*e.MessageBody) {
			continue
		}
		m.bodies[*e.MessageBody]++
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
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

func internalFailure(string) *types.BatchResultErrorEntry {
	return &types.BatchResultErrorEntry{Code: aws.String("InternalError"), Message: aws.String("a body")}
}

func numbered(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"id":%d}`, i+1)
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
	synctest.Test(t, func(t *testing.T) {
		m := &memory{took: 100 * time.Millisecond}
		bodies := numbered(1000)
		start := time.Now()
		if err := New(m, url).Send(t.Context(), bodies...); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff(once(bodies), m.bodies); diff != "" || m.calls != 100 {
			t.Errorf("%d calls, %s", m.calls, diff)
		}
		if m.most > maxCalls {
			t.Errorf("%d calls side by side", m.most)
		}
	})
}

// TestThousandMessagesFitTheTimeOutInBadTimes has each message refused once.
func TestThousandMessagesFitTheTimeOutInBadTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{took: 300 * time.Millisecond}
		m.refuse = func(body string) *types.BatchResultErrorEntry {
			if m.seen[body] == 1 {
				return internalFailure(body)
			}
			return nil
		}
		bodies := numbered(1000)
		start := time.Now()
		if err := New(m, url).Send(t.Context(), bodies...); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff(once(bodies), m.bodies); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNothingToSendIsNoCall(t *testing.T) {
	t.Parallel()
	m := &memory{}
	if err := New(m, url).Send(t.Context()); err != nil || m.calls != 0 {
		t.Errorf("%d calls, %v", m.calls, err)
	}
}

func TestOnlyRefusedMessagesAreSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.refuse = func(body string) *types.BatchResultErrorEntry {
			if body == `{"id":3}` && m.seen[body] < maxRounds || body == `{"id":7}` && m.seen[body] < 2 {
				return internalFailure(body)
			}
			return nil
		}
		bodies := numbered(8)
		if err := New(m, url).Send(t.Context(), bodies...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once(bodies), m.bodies); diff != "" {
			t.Error(diff)
		}
		want := once(bodies)
		want[`{"id":3}`], want[`{"id":7}`] = maxRounds, 2
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
	})
}

func TestMessageThatSQSDoesNotNameIsNotAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.forget = func(body string) bool { return body == `{"id":2}` && m.seen[body] == 1 }
		bodies := numbered(3)
		if err := New(m, url).Send(t.Context(), bodies...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once(bodies), m.bodies); diff != "" {
			t.Error(diff)
		}
		m.forget = func(body string) bool { return body == `{"id":2}` }
		if err := New(m, url).Send(t.Context(), bodies...); err == nil {
			t.Error("accepted without a word of SQS")
		}
	})
}

func TestMessageThatSQSKeepsRefusingIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{refuse: func(body string) *types.BatchResultErrorEntry {
			if body == `{"id":2}` {
				return internalFailure(body)
			}
			return nil
		}}
		start := time.Now()
		err := New(m, url).Send(t.Context(), numbered(3)...)
		if err == nil || strings.Contains(err.Error(), "id") || m.seen[`{"id":2}`] != maxRounds || time.Since(start) > 2*time.Second {
			t.Errorf("after %v and %d calls: %v", time.Since(start), m.calls, err)
		}
	})
}

func TestMessageThatIsWrongIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{refuse: func(body string) *types.BatchResultErrorEntry {
			switch body {
			case `{"id":1}`:
				return internalFailure(body)
			case `{"id":2}`:
				return &types.BatchResultErrorEntry{Code: aws.String("InvalidMessageContents"), Message: &body, SenderFault: true}
			}
			return nil
		}}
		err := New(m, url).Send(t.Context(), numbered(3)...)
		if err == nil || m.calls != 1 || !strings.Contains(err.Error(), "InvalidMessageContents") || strings.Contains(err.Error(), `"id"`) {
			t.Errorf("%d calls, %v", m.calls, err)
		}
	})
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
			m := &memory{took: 10 * time.Millisecond}
			m.refuse = func(body string) *types.BatchResultErrorEntry {
				if r.IntN(200) < trouble {
					return internalFailure(body)
				}
				return nil
			}
			m.forget = func(string) bool { return r.IntN(200) < trouble }
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

func TestCallThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("SQS is down")
		m := &memory{took: 100 * time.Millisecond, err: down}
		start := time.Now()
		err := New(m, url).Send(t.Context(), numbered(1000)...)
		if !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		// The SDK has repeated each call already.
		if took := time.Since(start); took > 300*time.Millisecond || m.calls > 2*maxCalls {
			t.Errorf("took %v and %d calls", took, m.calls)
		}
		if m.running != 0 {
			t.Errorf("%d calls still run", m.running)
		}
	})
}

// TestOneFailedCallFailsAll has the last call fail, and all others go well.
func TestOneFailedCallFailsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{refuse: func(body string) *types.BatchResultErrorEntry {
			if body == `{"id":991}` {
				return &types.BatchResultErrorEntry{Code: aws.String("x"), SenderFault: true}
			}
			return nil
		}}
		if err := New(m, url).Send(t.Context(), numbered(991)...); err == nil {
			t.Error("no error")
		}
	})
}

func TestSendEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*memory{
		"in a call":  {took: time.Hour},
		"in a pause": {refuse: internalFailure},
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
