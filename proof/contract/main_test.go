package contract_test

import (
	"os"
	"testing"
)

// TestMain goes where a user works: to the clone's root, whose files are looked at.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
