// Command buildcheck compares what `sam build` built with what would be deployed:
// SAM does not tell the Makefile which architecture it builds for, so the two can
// differ, and a function of the wrong one fails only when it is called.
//
// usage: buildcheck ARCHITECTURE [FOLDER]
//
// ARCHITECTURE is the value of the template's parameter of that name, FOLDER what
// was built, .aws-sam/build unless given.
package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"

	"veryfi-intake/local/template"
)

func main() {
	architecture, folder := "", ".aws-sam/build"
	switch len(os.Args) {
	case 3:
		folder = os.Args[2]
		fallthrough
	case 2:
		architecture = os.Args[1]
	default:
		fmt.Fprintln(os.Stderr, "usage: buildcheck ARCHITECTURE [FOLDER]")
		os.Exit(2)
	}
	if err := check(folder, architecture); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// machines has the names that Lambda gives to architectures.
var machines = map[elf.Machine]string{
	elf.EM_AARCH64: "arm64",
	elf.EM_X86_64:  "x86_64",
}

func check(folder, architecture string) error {
	built, err := template.Read(filepath.Join(folder, "template.yaml"), map[string]string{"Architecture": architecture})
	if err != nil {
		return err
	}
	artifacts, err := built.Artifacts()
	if err != nil {
		return err
	}
	for _, artifact := range artifacts {
		path := filepath.Join(folder, artifact.CodeURI, "bootstrap")
		binary, err := elf.Open(path)
		if err != nil {
			return fmt.Errorf("%s is not a Linux binary (%w): run `make build`", path, err)
		}
		machine := machines[binary.Machine]
		if machine == "" {
			machine = binary.Machine.String()
		}
		if err := binary.Close(); err != nil {
			return err
		}
		if machine != artifact.Architecture {
			return fmt.Errorf("%s is built for %s and would be deployed as %s: build it again with `make build ARCH=%[3]s`",
				artifact.Function, machine, artifact.Architecture)
		}
	}
	return nil
}
