package simulation

import (
	"math/rand/v2"
	"time"
)

// A plan is what goes wrong.
type plan struct {
	failures    [numServices]float64 // of each call
	deaths      float64              // of the function, at each call
	duplicates  float64              // of messages, at each receive
	outages     []outage
	over        time.Time // after it nothing goes wrong
	concurrency int
	rate        float64 // requests a second of each processor
	ceiling     int     // messages in flight, at most
	maxReceives int     // after so many SQS moves a message to the dead-letter queue
	// After so many tries and such a time the processor gives up by itself.
	maxTries    int
	giveUpAfter time.Duration
}

type outage struct {
	service  service
	from, to time.Time
	hangs    bool // instead of refusing immediately
	writes   bool // only: what reads, goes well
	// status is what Veryfi answers meanwhile, with a retry-after of so many seconds
	// if that is not 0. Status 0 is a different one each time.
	status, retryAfter int
}

// newPlan draws a plan: most calls go well, or nobody would get anywhere.
func newPlan(r *rand.Rand, start time.Time) plan {
	p := plan{
		deaths:      pick(r, 0, 0, 0.003, 0.02, 0.08),
		duplicates:  pick(r, 0, 0.02, 0.2),
		concurrency: 1 + r.IntN(5),
		ceiling:     120_000,
		maxReceives: 1000,
		maxTries:    60,
		giveUpAfter: 48 * time.Hour,
	}
	p.rate = 55 / float64(p.concurrency)
	for s := range p.failures {
		p.failures[s] = pick(r, 0, 0, 0.01, 0.1, 0.3)
	}
	if r.IntN(8) == 0 {
		p.ceiling = 1 + r.IntN(8)
	}
	if r.IntN(6) == 0 {
		p.maxTries, p.giveUpAfter = 6, 0 // tries run out
	}
	end := start.Add(time.Hour)
	for range r.IntN(4) {
		from := start.Add(time.Duration(r.Float64() * float64(30*time.Minute)))
		length := time.Duration(r.Float64() * float64(10*time.Minute))
		if r.IntN(3) == 0 {
			length = time.Duration(r.Float64() * float64(8*time.Hour))
		}
		o := outage{service: service(r.IntN(int(numServices))), from: from, to: from.Add(length), hangs: r.IntN(3) == 0}
		o.writes = o.service == atDynamoDB && r.IntN(2) == 0
		if o.service == atVeryfi && r.IntN(2) == 0 {
			o.status, o.retryAfter = 429, 1
		}
		p.outages = append(p.outages, o)
		if o.to.After(end) {
			end = o.to
		}
	}
	p.over = end.Add(30 * time.Minute)
	return p
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// outage returns the outage that a service has now.
func (p *plan) outage(s service) *outage {
	now := time.Now()
	for i, o := range p.outages {
		if o.service == s && !now.Before(o.from) && now.Before(o.to) {
			return &p.outages[i]
		}
	}
	return nil
}

// ended returns the plan as it goes on when all goes well.
func (p *plan) ended() *plan {
	calm := *p
	calm.failures, calm.deaths, calm.duplicates, calm.outages = [numServices]float64{}, 0, 0, nil
	return &calm
}
