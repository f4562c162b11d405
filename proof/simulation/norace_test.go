//go:build !race

package simulation

const defaultSchedules = 10_000
