package main

import (
	"maps"
	"slices"
	"time"
)

// startLookBack is how far back a function is looked for that cannot start: a little
// longer than the reconciler's schedule, which is the function that runs least often.
const startLookBack = 70 * time.Minute

// cannotStart is what a function logs before it ends at once. It does so each time
// until its settings change, and logs nothing else meanwhile. Lambda does: its own
// lines have no level.
const cannotStart = `"the function cannot start"`

// functions looks whether one cannot start since the last deployment, for a setting
// that it refuses.
func (d doctor) functions() ([]finding, error) {
	since := time.Now().Add(-startLookBack)
	if d.deployed.After(since) {
		since = d.deployed
	}
	outputs := map[string]string{"webhook": webhookLog, "processor": processorLog, "reconciler": reconcilerLog}
	failures, err := newFollower(d.deployment, cannotStart, since, slices.Collect(maps.Values(outputs))...).next(d)
	if err != nil {
		return nil, err
	}
	last := map[string]logLine{}
	for _, line := range failures {
		last[line.function] = line
	}
	var found []finding
	for _, function := range slices.Sorted(maps.Keys(last)) {
		failure := last[function]
		after, err := newFollower(d.deployment, "", failure.at.Add(time.Millisecond), outputs[function]).next(d)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(after, func(l logLine) bool { return l.member("level") != "" }) {
			found = append(found, wrong("the %s cannot start, the last time %s: %s. Set that right with `make deploy PARAMETERS=…`, or take back what somebody has changed in the console; after an update, roll back", function, ago(time.Since(failure.at)), failure.member("error"))...)
		}
	}
	if found == nil {
		return fine("they start"), nil
	}
	return found, nil
}
