package stack

import (
	"errors"
	"os"
	"path/filepath"
)

// FindRoot returns the folder of go.mod, from the working directory upwards.
func FindRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("there is no go.mod here or above: run this in the clone of veryfi-intake")
		}
		folder = parent
	}
}
