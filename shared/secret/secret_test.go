package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/shared/signature"
)

const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:VeryfiSecret-AbCdEf"

// A manager is Secrets Manager in memory, with trouble.
type manager struct {
	*secrets.Server

	mu     sync.Mutex
	down   []string // stages that cannot be read
	took   time.Duration
	frozen chan struct{}  // calls that begin now return when it is closed, time-out or not
	reads  map[string]int // by stage
}

// holding returns a manager of a secret that was given these values, one after the other.
func holding(values ...string) *manager {
	m := &manager{Server: secrets.New(arn, ""), reads: map[string]int{}}
	m.Remove(current)
	for _, value := range values {
		m.Put(value)
	}
	return m
}

// fail makes these stages, and no others, unreadable from now on.
func (m *manager) fail(stages ...string) *manager {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = stages
	return m
}

// slow makes a call take so long from now on.
func (m *manager) slow(took time.Duration) *manager {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = took
	return m
}

func (m *manager) readings() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads[current]
}

func (m *manager) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	m.mu.Lock()
	stage := aws.ToString(in.VersionStage)
	m.reads[stage]++
	took, frozen, down := m.took, m.frozen, slices.Contains(m.down, stage)
	m.mu.Unlock()
	out, err := m.Server.GetSecretValue(ctx, in)
	if frozen != nil {
		<-frozen
		return out, err
	}
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case down:
		return nil, errDown
	}
	return out, err
}

// filled returns the text of a secret whose values end with that word.
func filled(word string) string {
	b, err := json.Marshal(credentials(word))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func credentials(word string) Credentials {
	return Credentials{ClientID: "id-" + word, ClientSecret: "secret-" + word, Username: "user-" + word, APIKey: "key-" + word}
}

const unset = `{"client_id":"unset","client_secret":"unset","username":"unset","api_key":"unset"}`

var errDown = errors.New("Secrets Manager is down")

// inBubble runs a test with a source of the manager's secret, in time of its own.
func inBubble(t *testing.T, m *manager, test func(t *testing.T, m *manager, s *Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, m, New(m, arn, time.Now)) })
}

func get(t *testing.T, s *Source) *Secret {
	t.Helper()
	got, err := s.Get(t.Context())
	if err != nil || got == nil {
		t.Fatalf("no secret: %v", err)
	}
	return got
}

// getNext returns the secret that the reading brings which a first question sets off.
func getNext(t *testing.T, s *Source) *Secret {
	t.Helper()
	get(t, s)
	synctest.Wait()
	return get(t, s)
}

// verifies says whether the secret's keys take a webhook that a client secret has
// signed.
func verifies(t *testing.T, s *Secret, clientSecret string) bool {
	t.Helper()
	const data = `{"id":7}`
	header, err := signature.Sign([]byte(data), clientSecret)
	if err != nil {
		t.Fatal(err)
	}
	var p signature.Payload
	if err := p.Parse([]byte(`{"event":"document.created","data":` + data + `}`)); err != nil {
		t.Fatal(err)
	}
	_, err = p.Verify(header, s.Keys...)
	return err == nil
}

func TestSecretIsKeptForFiveMinutes(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		for range 100 {
			if got := get(t, s); got.Credentials != credentials("a") {
				t.Fatal("other credentials")
			}
			time.Sleep(2900 * time.Millisecond) // 4 min 50 s in all
		}
		if m.readings() != 1 || m.reads[previous] != 1 {
			t.Errorf("%d readings", m.readings())
		}
		m.Put(filled("b"))
		time.Sleep(20 * time.Second)
		if got := getNext(t, s); got.Credentials != credentials("b") || m.readings() != 2 {
			t.Errorf("an old secret after %d readings", m.readings())
		}
	})
}

func TestSecretServesOnWhileSecretsManagerIsDown(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a"), filled("b")), func(t *testing.T, m *manager, s *Source) {
		get(t, s)
		m.fail(current, previous)
		for range 60 {
			time.Sleep(10 * time.Minute)
			got := get(t, s)
			if got.Credentials != credentials("b") || !verifies(t, got, "secret-b") || !verifies(t, got, "secret-a") {
				t.Fatal("the secret was lost")
			}
			synctest.Wait()
			again, err := s.Reload(t.Context())
			if err != nil || again.Credentials != credentials("b") {
				t.Fatalf("the secret was lost: %v", err)
			}
		}
		if m.readings() != 61 { // none for a mismatch just after one that failed
			t.Errorf("%d readings", m.readings())
		}
		// Back up, it is seen soon.
		m.fail().Put(filled("c"))
		time.Sleep(10 * time.Second)
		if got := getNext(t, s); got.Credentials != credentials("c") {
			t.Error("the new secret is not seen")
		}
	})
}

// TestSecretsManagerThatIsDownIsNotHammered counts what many requests make of it.
func TestSecretsManagerThatIsDownIsNotHammered(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*manager{
		"never read": holding().fail(current, previous),
		"not filled": holding(unset),
		"no value":   holding(),
		"malformed":  holding("not JSON"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, m, func(t *testing.T, m *manager, s *Source) {
				for range 1000 {
					s.Get(t.Context())
					time.Sleep(10 * time.Millisecond)
				}
				if m.readings() < 9 || m.readings() > 11 {
					t.Errorf("%d readings in 10 seconds", m.readings())
				}
			})
		})
	}
}

func TestSlowSecretsManagerIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")).slow(time.Hour), func(t *testing.T, _ *manager, s *Source) {
		start := time.Now()
		if _, err := s.Get(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != readTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestReloadSeesARotation(t *testing.T) {
	t.Parallel()
	for _, down := range [][]string{nil, {previous}} {
		inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
			get(t, s)
			m.fail(down...).Put(filled("b"))
			if got := get(t, s); verifies(t, got, "secret-b") {
				t.Fatal("the test is wrong: the new secret is known already")
			}
			// Immediately, though the first Get has only just read the secret.
			got, err := s.Reload(t.Context())
			if err != nil || got.Credentials != credentials("b") || !verifies(t, got, "secret-b") || !verifies(t, got, "secret-a") {
				t.Errorf("the rotation is not seen: %v", err)
			}
			if get(t, s).Credentials != credentials("b") {
				t.Error("Get does not know of it")
			}
		})
	}
}

func TestReloadReadsAtMostOnceInTenSeconds(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		start := time.Now()
		for time.Since(start) < time.Minute {
			if got, err := s.Reload(t.Context()); err != nil || got.Credentials != credentials("a") {
				t.Fatal(err)
			}
			get(t, s)
			time.Sleep(7 * time.Millisecond)
		}
		if m.readings() != 6 {
			t.Errorf("%d readings in a minute", m.readings())
		}
		for range 20 { // it is no right that can be saved up
			time.Sleep(time.Millisecond)
			s.Reload(t.Context())
		}
		if m.readings() > 7 {
			t.Errorf("%d readings", m.readings())
		}
	})
}

// TestReloadsSideBySideReadOnce has requests wait for each other, which time in a
// bubble does not wait for.
func TestReloadsSideBySideReadOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := holding(filled("a")).slow(10 * time.Millisecond)
	s := New(m, arn, func() time.Time { return now })
	get(t, s)
	m.Put(filled("b"))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := s.Reload(t.Context()); err != nil || got.Credentials != credentials("b") {
				t.Errorf("the rotation is not seen: %v", err)
			}
		})
	}
	wg.Wait()
	if m.readings() != 2 {
		t.Errorf("%d readings", m.readings())
	}
}

func TestReloadThatFailsKeepsTheSecret(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		get(t, s)
		for _, trouble := range []func(){
			func() { m.fail(current, previous) },
			func() { m.fail().Put("not JSON") },
			func() { m.Put(`{"client_id":7}`) },
		} {
			trouble()
			time.Sleep(10 * time.Second)
			if got, err := s.Reload(t.Context()); err != nil || got.Credentials != credentials("a") {
				t.Errorf("the secret was lost: %v", err)
			}
			synctest.Wait()
		}
		if m.readings() != 4 {
			t.Errorf("%d readings", m.readings())
		}
	})
}

func TestPreviousVersionVerifies(t *testing.T) {
	t.Parallel()
	b := filled("b")
	for name, test := range map[string]struct {
		m    *manager
		want bool
	}{
		"filled":          {holding(filled("a"), b), true},
		"with spaces":     {holding(strings.ReplaceAll(filled("a"), "secret-a", ` secret-a\n`), b), true},
		"secret alone":    {holding(`{"client_secret":"secret-a"}`, b), true},
		"none":            {holding(b), false}, // a new secret
		"the same":        {holding(`{"client_secret":"secret-b","api_key":"another"}`, b), false},
		"placeholder":     {holding(unset, b), false},
		"empty":           {holding(`{"client_secret":""}`, b), false},
		"only spaces":     {holding(`{"client_secret":" \t"}`, b), false},
		"no values":       {holding(`{}`, b), false},
		"null":            {holding(`null`, b), false},
		"not JSON":        {holding(`secret-a`, b), false},
		"of another form": {holding(`{"client_secret":["secret-a"]}`, b), false},
		"unavailable":     {holding(filled("a"), b).fail(previous), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, test.m, func(t *testing.T, _ *manager, s *Source) {
				got := get(t, s)
				if got.Credentials != credentials("b") || !verifies(t, got, "secret-b") {
					t.Error("the current version does not verify")
				}
				if verifies(t, got, "secret-a") != test.want || (len(got.Keys) == 2) != test.want {
					t.Errorf("the previous version: verifies %v, %d keys", !test.want, len(got.Keys))
				}
				for _, forged := range []string{"unset", "", " \t", "secret-c"} {
					if verifies(t, got, forged) {
						t.Errorf("%q verifies", forged)
					}
				}
			})
		})
	}
}

func TestPreviousVersionOfNoUseIsNotAskedForAllTheTime(t *testing.T) {
	t.Parallel()
	for _, before := range [][]string{nil, {unset}, {`{}`}, {"not JSON"}, {`{"client_secret":7}`}} {
		inBubble(t, holding(append(before, filled("b"))...), func(t *testing.T, m *manager, s *Source) {
			for range 290 {
				get(t, s)
				time.Sleep(time.Second)
			}
			if m.readings() != 1 || m.reads[previous] != 1 {
				t.Errorf("%q: read %d times", before, m.reads[previous])
			}
			// Nor does it stand in the way of a rotation.
			m.Put(filled("c"))
			if got, err := s.Reload(t.Context()); err != nil || got.Credentials != credentials("c") {
				t.Errorf("%q: the rotation is not seen: %v", before, err)
			}
		})
	}
}

// TestPreviousVersionComesAndGoes looks at rotations: webhooks that were signed before must
// not be refused for minutes, and a secret that was taken away must not verify forever.
func TestPreviousVersionComesAndGoes(t *testing.T) {
	t.Parallel()
	a, b := filled("a"), filled("b")
	for name, test := range map[string]struct {
		m            *manager
		change       func(*manager)
		after        time.Duration
		before, then bool // whether it verifies
	}{
		"its stage is taken away": {holding(a, b), func(m *manager) { m.Remove(previous) }, 5 * time.Minute, true, false},
		"it is readable again":    {holding(a, b).fail(previous), func(m *manager) { m.fail() }, 10 * time.Second, false, true},
		"it becomes unreadable":   {holding(a, b), func(m *manager) { m.fail(previous) }, 6 * time.Minute, true, true},
	} {
		inBubble(t, test.m, func(t *testing.T, m *manager, s *Source) {
			if got := get(t, s); verifies(t, got, "secret-a") != test.before {
				t.Errorf("%s: before that it verifies: %v", name, !test.before)
			}
			test.change(m)
			for range 3 {
				time.Sleep(test.after)
				if got := getNext(t, s); verifies(t, got, "secret-a") != test.then || !verifies(t, got, "secret-b") {
					t.Errorf("%s: after that it verifies: %v", name, !test.then)
				}
			}
		})
	}
}

func TestValuesThatAreNotFilled(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		`"a value"`: true, `" a value\n"`: true, `"vrfk_a"`: true, `"Unset"`: true, `"unsettled"`: true,
		`"unset"`: false, `" unset "`: false, `"unset\n"`: false, `""`: false, `" "`: false, `"\t\r\n\u00a0"`: false, `null`: false,
	} {
		for _, name := range []string{"client_id", "client_secret", "username", "api_key"} {
			text := strings.Replace(filled("a"), `"`+name+`":`, `"`+name+`":`+value+`,"x":`, 1)
			inBubble(t, holding(text), func(t *testing.T, _ *manager, s *Source) {
				got := get(t, s)
				verifiesWant, retrievesWant := want || name != "client_secret", want || name == "client_secret"
				if err := got.Verifies(); (err == nil) != verifiesWant || err != nil && !errors.Is(err, ErrNotFilled) {
					t.Errorf("%s: Verifies is %v", text, err)
				}
				if err := got.Retrieves(); (err == nil) != retrievesWant || err != nil && !errors.Is(err, ErrNotFilled) {
					t.Errorf("%s: Retrieves is %v", text, err)
				}
				if !verifiesWant && (verifies(t, got, "unset") || verifies(t, got, "")) {
					t.Errorf("%s: what is not filled verifies", text)
				}
			})
		}
	}
}

func TestSpacesThatPastingBringsAreNotPartOfAValue(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(`{"client_id":" id-a","client_secret":"secret-a\n","username":"\tuser-a\r\n","api_key":" key-a "}`), func(t *testing.T, _ *manager, s *Source) {
		if got := get(t, s); got.Credentials != credentials("a") || !verifies(t, got, "secret-a") {
			t.Error("they are")
		}
	})
}

func TestSecretIsSeenSoonAfterItIsFilled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		m    *manager
		want error // before that
	}{
		"no value":   {holding(), ErrNotFilled},
		"unset":      {holding(unset), ErrNotFilled},
		"unreadable": {holding().fail(current, previous), errDown},
	} {
		inBubble(t, test.m, func(t *testing.T, m *manager, s *Source) {
			verify := func() error {
				got, err := s.Get(t.Context())
				if err != nil {
					return err
				}
				return got.Verifies()
			}
			if err := verify(); !errors.Is(err, test.want) {
				t.Fatalf("%s: %v", name, err)
			}
			m.fail().Put(filled("a"))
			time.Sleep(999 * time.Millisecond)
			if verify() == nil || m.readings() != 1 {
				t.Errorf("%s: it is read all the time", name)
			}
			time.Sleep(time.Millisecond)
			got := get(t, s)
			if got.Credentials != credentials("a") || !verifies(t, got, "secret-a") || verifies(t, got, "unset") || verifies(t, got, "") {
				t.Errorf("%s: the filled secret is not seen", name)
			}
		})
	}
}

// TestNoSecretIsNotOneWithoutValue has another cause: the secret is gone, or its name is
// wrong.
func TestNoSecretIsNotOneWithoutValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, err := New(holding(filled("a")), "another name", time.Now).Get(t.Context())
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); got != nil || !gone || errors.Is(err, ErrNotFilled) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestNewerAPIKeyNeedsNoUsername(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		credentials      Credentials
		bearer, retrieve bool
	}{
		{Credentials{ClientID: "c", APIKey: "vrfk_x"}, true, true},
		{Credentials{ClientID: "c", APIKey: "vrfk_x", Username: "u"}, true, true},
		{Credentials{ClientID: "c", APIKey: "x"}, false, false},
		{Credentials{ClientID: "c", APIKey: "x", Username: "u"}, false, true},
		{Credentials{ClientID: "c", APIKey: "VRFK_x"}, false, false},
		{Credentials{APIKey: "vrfk_x"}, true, false},
		{Credentials{ClientID: "c", Username: "u"}, false, false},
	} {
		if got := test.credentials.IsBearer(); got != test.bearer {
			t.Errorf("%+v: bearer is %v", test.credentials, got)
		}
		if err := test.credentials.Retrieves(); (err == nil) != test.retrieve {
			t.Errorf("%+v: %v", test.credentials, err)
		}
	}
}

// TestErrorsHoldNothingOfTheSecret prints them in each way that a log might.
func TestErrorsHoldNothingOfTheSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`hush`, `{"client_secret":"hush`, `{"client_secret":hush}`, `{"client_secret":["hush"]}`, `{"client_secret":"a","username":{"hush":1}}`,
		`["hush"]`, `"hush"`, `{"client_secret":"hush"}}`, "{\"client_secret\":\"hush\n\"}", `{"api_key":false,"client_secret":"hush"}`,
	} {
		inBubble(t, holding(text, text), func(t *testing.T, _ *manager, s *Source) {
			_, err := s.Get(t.Context())
			_, again := s.Reload(t.Context())
			for _, err := range []error{err, again} {
				if err == nil {
					t.Fatalf("%s: no error", text)
				}
				for cause := err; cause != nil; cause = errors.Unwrap(cause) {
					for _, form := range []string{"%v", "%+v", "%#v", "%q"} {
						if printed := fmt.Sprintf(form, cause); strings.Contains(printed, "hush") {
							t.Errorf("%s: %s", text, printed)
						}
					}
				}
			}
		})
	}
}

func TestEnvironmentSaysWhereTheSecretIs(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"VERYFI_CLIENT_ID": "id-e", "VERYFI_CLIENT_SECRET": " secret-e\n", "VERYFI_USERNAME": "user-e", "VERYFI_API_KEY": "key-e",
	}
	configured := func(t *testing.T, extra map[string]string, names ...string) (*Source, *manager, error) {
		t.Helper()
		environment := map[string]string{"VERYFI_SOMETHING": "else"}
		for _, name := range names {
			environment[name] = values[name]
		}
		maps.Copy(environment, extra)
		m := holding(filled("a"))
		s, err := Configured(func(name string) string { return environment[name] }, m, time.Now)
		return s, m, err
	}
	all := []string{"VERYFI_CLIENT_ID", "VERYFI_CLIENT_SECRET", "VERYFI_USERNAME", "VERYFI_API_KEY"}
	id := map[string]string{"VERYFI_SECRET_ID": arn}

	t.Run("VERYFI_SECRET_ID wins", func(t *testing.T) {
		t.Parallel()
		for _, names := range [][]string{nil, all, all[:1]} {
			s, m, err := configured(t, id, names...)
			if err != nil || get(t, s).Credentials != credentials("a") || m.readings() != 1 {
				t.Errorf("with %v: %d readings, %v", names, m.readings(), err)
			}
		}
	})
	t.Run("values without it", func(t *testing.T) {
		t.Parallel()
		s, m, err := configured(t, map[string]string{"VERYFI_SECRET_ID": ""}, all...)
		if err != nil {
			t.Fatal(err)
		}
		got := get(t, s)
		if again, err := s.Reload(t.Context()); err != nil || again != got {
			t.Errorf("Reload brings another one, %v", err)
		}
		if got.Credentials != credentials("e") || !verifies(t, got, "secret-e") || m.readings() != 0 {
			t.Errorf("%d readings", m.readings())
		}
	})
	t.Run("one value alone", func(t *testing.T) {
		t.Parallel()
		for _, name := range all {
			s, _, err := configured(t, nil, name)
			if err != nil {
				t.Fatal(err)
			}
			got := get(t, s)
			if (got.Verifies() == nil) != (name == "VERYFI_CLIENT_SECRET") || got.Retrieves() == nil || verifies(t, got, "") {
				t.Errorf("%s: %v, %v", name, got.Verifies(), got.Retrieves())
			}
		}
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		s, _, err := configured(t, nil)
		if err == nil || s != nil || !strings.Contains(err.Error(), "VERYFI_SECRET_ID") {
			t.Errorf("got %v", err)
		}
	})
}

// TestSourceServesManyAtOnce is for the race detector.
func TestSourceServesManyAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		ends := time.Now().Add(12 * time.Minute)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for time.Now().Before(ends) {
					ask := s.Get
					if i%4 == 0 {
						ask = s.Reload
					}
					got, err := ask(t.Context())
					if err != nil || len(got.Keys) == 0 || got.ClientSecret == "" {
						t.Errorf("no secret: %v", err)
					}
					time.Sleep(5*time.Second + time.Duration(i)*time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for i := 0; time.Now().Before(ends); i++ {
				m.fail([][]string{nil, nil, {current, previous}}[i%3]...).Put(filled(fmt.Sprint(i)))
				time.Sleep(20 * time.Second)
			}
		})
		wg.Wait()
	})
}

func TestNobodyWaitsForAnothersReadingPastTheirTime(t *testing.T) {
	inBubble(t, holding(filled("a")).slow(2*time.Second), func(t *testing.T, m *manager, s *Source) {
		leaves, cancel := context.WithTimeout(t.Context(), time.Second/2) // that does not end the reading
		defer cancel()
		go s.Get(leaves)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
		if m.readings() != 1 {
			t.Errorf("%d readings", m.readings())
		}
	})
}

func TestSecretServesWithoutWaitingWhileSecretsManagerHangs(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		get(t, s)
		m.slow(time.Hour)
		time.Sleep(maxAge)
		start := time.Now()
		for range 12 {
			if got := get(t, s); got.Credentials != credentials("a") {
				t.Error("other credentials")
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("12 webhooks waited %v", took)
		}
		// One reading at a time, and once in ten seconds.
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			get(t, s)
		}
		if m.readings() < 7 || m.readings() > 8 {
			t.Errorf("%d readings in a minute", m.readings()-1)
		}
		// A rotation meanwhile is seen once Secrets Manager answers.
		m.slow(0).Put(filled("b"))
		time.Sleep(reloadInterval)
		if got := getNext(t, s); got.Credentials != credentials("b") || !verifies(t, got, "secret-a") {
			t.Error("the rotation is not seen")
		}
	})
}

// TestMismatchWaitsForOneReadingThatFails says what wrong signatures cost while Secrets
// Manager hangs, and that a rotation still gets its chance.
func TestMismatchWaitsForOneReadingThatFails(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		get(t, s)
		m.slow(time.Hour)
		start := time.Now()
		s.Reload(t.Context())
		if took := time.Since(start); took != readTimeout {
			t.Errorf("the first one waited %v", took)
		}
		waited := time.Duration(0)
		for range 60 {
			time.Sleep(time.Second)
			start := time.Now()
			if got, err := s.Reload(t.Context()); err != nil || got.Credentials != credentials("a") {
				t.Errorf("the secret was lost: %v", err)
			}
			waited += time.Since(start)
		}
		if waited > 6*retryTimeout || m.readings() > 9 {
			t.Errorf("the others waited %v, for %d readings", waited, m.readings())
		}
		m.slow(50 * time.Millisecond).Put(filled("b"))
		time.Sleep(2 * reloadInterval)
		if got, _ := s.Reload(t.Context()); got.Credentials != credentials("b") {
			t.Error("the rotation is not seen")
		}
		m.Put(filled("c"))
		time.Sleep(reloadInterval)
		if got, _ := s.Reload(t.Context()); got.Credentials != credentials("c") {
			t.Error("a mismatch does not wait for a reading, though they succeed again")
		}
	})
}

// TestRevokedSecretDoesNotOutliveAFreeze has hours pass on the wall clock alone.
func TestRevokedSecretDoesNotOutliveAFreeze(t *testing.T) {
	t.Parallel()
	m := holding(filled("a"), filled("b"))
	synctest.Test(t, func(t *testing.T) {
		away := time.Duration(0)
		s := New(m, arn, func() time.Time { return time.Now().Add(away) })
		if !verifies(t, get(t, s), "secret-a") {
			t.Fatal("the previous version does not verify")
		}
		m.slow(time.Second).Remove(previous)
		away = 6 * time.Minute
		if start := time.Now(); !verifies(t, get(t, s), "secret-a") || time.Since(start) != 0 {
			t.Error("a secret of six minutes is waited for")
		}
		away = 3 * time.Hour // during that reading
		start := time.Now()
		if verifies(t, get(t, s), "secret-a") || time.Since(start) != 2*time.Second {
			t.Errorf("after hours the old secret serves, or is waited for %v", time.Since(start))
		}
		time.Sleep(time.Minute)
		m.slow(time.Hour)
		away = 6 * time.Hour
		start = time.Now()
		for range 12 {
			get(t, s)
		}
		if time.Since(start) != readTimeout {
			t.Errorf("while Secrets Manager hangs, 12 webhooks wait %v", time.Since(start))
		}
	})
}

// TestTimesAreThoseOfTheWallClock looks at what is compared: no program can make its
// monotonic clock stand still, as a freeze does.
func TestTimesAreThoseOfTheWallClock(t *testing.T) {
	t.Parallel()
	s := New(holding(filled("a")), arn, time.Now)
	get(t, s)
	s.Reload(t.Context())
	for name, at := range map[string]time.Time{"tried": s.tried, "nextRead": s.nextRead, "nextReload": s.nextReload} {
		if at.IsZero() || strings.Contains(at.String(), " m=") {
			t.Errorf("%s is %v", name, at)
		}
	}
}

// TestReadingThatWasFrozenIsNotUsed has one end after a later one, with what was current
// before.
func TestReadingThatWasFrozenIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := time.Duration(0)
		m := holding(filled("a"))
		thaw := make(chan struct{}) // longer than a reading's time-out
		m.frozen = thaw
		s := New(m, arn, func() time.Time { return time.Now().Add(away) })
		go s.Get(t.Context())
		synctest.Wait()
		away, m.frozen = time.Hour, nil
		m.Put(filled("b"))
		if get(t, s).Credentials != credentials("b") {
			t.Error("a new reading is not begun")
		}
		close(thaw)
		synctest.Wait()
		if get(t, s).Credentials != credentials("b") || m.readings() != 2 {
			t.Error("what a frozen reading brings is used")
		}
	})
}

func TestSameKeys(t *testing.T) {
	t.Parallel()
	a, b := credentials("a"), credentials("b")
	same := newSecret(a, &b)
	for name, test := range map[string]struct {
		other *Secret
		want  bool
	}{
		"the same":         {newSecret(a, &b), true},
		"another user":     {newSecret(Credentials{ClientSecret: a.ClientSecret}, &b), true},
		"no previous":      {newSecret(a, nil), false},
		"another previous": {newSecret(a, &Credentials{ClientSecret: "c"}), false},
		"rotated":          {newSecret(b, &a), false},
		"not filled":       {newSecret(Credentials{}, nil), false},
	} {
		if same.HasKeysOf(test.other) != test.want || test.other.HasKeysOf(same) != test.want {
			t.Errorf("%s: not %v", name, test.want)
		}
	}
}

// TestPreparedSecretIsThereForTheFirstGet holds because a cold start reads it while the
// function still has a whole CPU.
func TestPreparedSecretIsThereForTheFirstGet(t *testing.T) {
	t.Parallel()
	inBubble(t, holding(filled("a")), func(t *testing.T, m *manager, s *Source) {
		s.Prepare(t.Context())
		if m.readings() != 1 {
			t.Errorf("%d readings", m.readings())
		}
		if get(t, s); m.readings() != 1 {
			t.Errorf("%d readings with the first Get", m.readings())
		}
	})
}
