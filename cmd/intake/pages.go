package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
)

// checkPages returns an error about a PDF that has more pages than most, unless most is 0,
// or that asks for a password. A PDF that pdfcpu cannot read passes: Veryfi may.
func checkPages(file string, most int) error {
	content, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	const header = 1024 // bytes, within which readers look for it
	if !bytes.Contains(content[:min(len(content), header)], []byte("%PDF-")) {
		return nil
	}
	count, err := countPages(content)
	switch {
	case errors.Is(err, pdfcpu.ErrWrongPassword):
		return fmt.Errorf("%s asks for a password, and Veryfi cannot read it: remove the password first", file)
	case err == nil && 0 < most && most < count:
		return fmt.Errorf("%s has %d pages: Veryfi takes %d in a file of this kind. Split it, or give --max-pages N if Veryfi has raised your limit", file, count, most)
	default:
		return nil
	}
}

func countPages(content []byte) (count int, err error) {
	defer func() {
		if reason := recover(); reason != nil { // on some files that are broken
			err = fmt.Errorf("cannot read the PDF: %v", reason)
		}
	}()
	model.ConfigPath = "disable" // or pdfcpu makes a folder in the user's home
	pdf, err := pdfcpu.Read(bytes.NewReader(content), model.NewDefaultConfiguration())
	if err != nil {
		return 0, err
	}
	err = pdf.EnsurePageCount()
	return pdf.PageCount, err
}
