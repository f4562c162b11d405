// Command local runs veryfi-intake on one machine, with no AWS account and no
// Docker: `go run ./local run` shows a dozen webhooks on their way and ends,
// `go run ./local dev` stays and waits for yours.
package main

import "veryfi-intake/local/command"

type commands struct {
	Run runCommand `cmd:"" help:"Send sample webhooks through the whole stack, and show what becomes of them."`
	Dev devCommand `cmd:"" help:"Run the whole stack until Ctrl-C, for your own webhooks."`
}

func main() {
	command.Main("local", "Runs veryfi-intake on this machine.", &commands{})
}
