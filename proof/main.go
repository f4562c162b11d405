// Command proof shows that veryfi-intake does what it promises: it makes things fail
// around it, breaks its code, measures it, and computes what it costs. The tests
// below this folder do the same in small.
package main

import "veryfi-intake/local/command"

type commands struct {
	Chaos    chaosCommand    `cmd:"" help:"Run the stack amid faults, and check that nothing is lost."`
	Mutants  mutantsCommand  `cmd:"" help:"Break the code in many ways, and show which test notices."`
	Mutation mutationCommand `cmd:"" help:"Break packages in every small way, and show what their tests do not notice."`
	Bench    benchCommand    `cmd:"" help:"Measure the functions beside what they are compared with."`
	Cost     costCommand     `cmd:"" help:"Print what a million documents a month cost on AWS."`
}

func main() {
	command.Main("proof", "Shows that veryfi-intake does what it promises.", &commands{})
}
