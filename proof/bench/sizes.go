package bench

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"veryfi-intake/local/machine"
)

// sizes compares the binaries and the zip files that are deployed with an empty
// function.
func (b *bench) sizes(ctx context.Context) error {
	b.Progress("sizes for both architectures")
	folder, err := os.MkdirTemp("", "veryfi-intake-sizes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	table := ratios(sizesTitle)
	for _, architecture := range []struct{ aws, golang string }{{"arm64", "arm64"}, {"x86_64", "amd64"}} {
		hello := filepath.Join(folder, "hello-"+architecture.aws)
		if err := buildCompared(ctx, b.Root, "hello", hello, architecture.golang); err != nil {
			return err
		}
		compared, comparedZip, err := sizesOf(hello)
		if err != nil {
			return err
		}
		for _, id := range []string{"WebhookFunction", "ProcessorFunction", "ReconcilerFunction"} {
			artifacts := filepath.Join(folder, architecture.aws, id)
			if err := machine.Make(ctx, b.Root, "build-"+id, "ARTIFACTS_DIR="+artifacts, "ARCH="+architecture.aws); err != nil {
				return err
			}
			ours, oursZip, err := sizesOf(filepath.Join(artifacts, "bootstrap"))
			if err != nil {
				return err
			}
			table.compare(id+", "+architecture.aws, ours, compared)
			table.compare(id+", "+architecture.aws+", zipped", oursZip, comparedZip)
		}
	}
	b.show(table)
	return nil
}

// sizesOf returns the size of a file, and of a zip with it, as SAM makes it.
func sizesOf(path string) (plain, zipped figure, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return plain, zipped, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	entry, err := w.Create("bootstrap")
	if err != nil {
		return plain, zipped, err
	}
	if _, err := entry.Write(text); err != nil {
		return plain, zipped, err
	}
	err = w.Close()
	megabytes := func(bytes float64) string { return fmt.Sprintf("%.2f MB", bytes/1e6) }
	return figure{[]float64{float64(len(text))}, megabytes}, figure{[]float64{float64(b.Len())}, megabytes}, err
}

// buildCompared builds one of the programs in compared, as AWS recommends it for
// Go functions.
func buildCompared(ctx context.Context, root, name, into, architecture string) error {
	_, err := run(ctx, root, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + architecture},
		"go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", into, "./proof/bench/compared/"+name)
	return err
}
