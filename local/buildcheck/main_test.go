package main

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const builtTemplate = `
Parameters:
  Architecture: {Type: String, Default: arm64}
Resources:
  WebhookFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Webhook, Architectures: [Ref: Architecture]}
  ProcessorFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Processor, Architectures: [Ref: Architecture]}
`

// build lays out a folder as `sam build` does, with nothing but ELF headers for
// binaries.
func build(t *testing.T, webhook, processor elf.Machine) string {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "template.yaml"), []byte(builtTemplate))
	write(t, filepath.Join(folder, "Webhook", "bootstrap"), header(webhook))
	write(t, filepath.Join(folder, "Processor", "bootstrap"), header(processor))
	return folder
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func header(machine elf.Machine) []byte {
	h := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machine),
		Version: uint32(elf.EV_CURRENT),
		Ehsize:  64,
	}
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err) // a struct of fixed size
	}
	return b
}

func TestBinariesOfTheDeployedArchitecturePass(t *testing.T) {
	if err := check(build(t, elf.EM_AARCH64, elf.EM_AARCH64), "arm64"); err != nil {
		t.Error(err)
	}
	if err := check(build(t, elf.EM_X86_64, elf.EM_X86_64), "x86_64"); err != nil {
		t.Error(err)
	}
}

func TestOneBinaryOfAnotherArchitectureFails(t *testing.T) {
	err := check(build(t, elf.EM_X86_64, elf.EM_AARCH64), "arm64")
	want := "WebhookFunction is built for x86_64 and would be deployed as arm64: build it again with `make build ARCH=arm64`"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := check(build(t, elf.EM_AARCH64, elf.EM_X86_64), "arm64"); err == nil || !strings.HasPrefix(err.Error(), "ProcessorFunction is built for x86_64") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotALinuxBinaryFails(t *testing.T) {
	folder := build(t, elf.EM_AARCH64, elf.EM_AARCH64)
	write(t, filepath.Join(folder, "Processor", "bootstrap"), []byte("#!/bin/sh\n"))
	if err := check(folder, "arm64"); err == nil || !strings.Contains(err.Error(), "is not a Linux binary") {
		t.Errorf("got %v", err)
	}
	if err := check(t.TempDir(), "arm64"); err == nil {
		t.Error("no build at all passes")
	}
}
