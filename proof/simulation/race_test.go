//go:build race

package simulation

// The race detector makes a schedule ten times as slow.
const defaultSchedules = 1_000
