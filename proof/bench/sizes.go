package bench

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"veryfi-intake/local/machine"
)

// sizes compares the binaries and the zip files that are deployed with an empty
// function.
func (b *bench) sizes(ctx context.Context) (comparison, error) {
	table := comparison{title: "Size of the binary, and zipped"}
	b.Progress("sizes for both architectures")
	folder, err := os.MkdirTemp("", "veryfi-intake-sizes-")
	if err != nil {
		return table, err
	}
	defer os.RemoveAll(folder)
	for _, architecture := range []struct{ aws, golang string }{{"arm64", "arm64"}, {"x86_64", "amd64"}} {
		hello := filepath.Join(folder, "hello-"+architecture.aws)
		if err := buildCompared(ctx, b.Root, "hello", hello, architecture.golang); err != nil {
			return table, err
		}
		for _, function := range []struct {
			id     string
			target float64
		}{{"WebhookFunction", 1.25}, {"ProcessorFunction", 1.45}, {"ReconcilerFunction", 0}} {
			artifacts := filepath.Join(folder, architecture.aws, function.id)
			if err := machine.Make(ctx, b.Root, "build-"+function.id, "ARTIFACTS_DIR="+artifacts, "ARCH="+architecture.aws); err != nil {
				return table, err
			}
			ours := filepath.Join(artifacts, "bootstrap")
			row, err := compareSizes(function.id+", "+architecture.aws, ours, hello, os.ReadFile)
			if err != nil {
				return table, err
			}
			row.target = function.target
			zipped, err := compareSizes(function.id+", "+architecture.aws+", zipped", ours, hello, zipFile)
			if err != nil {
				return table, err
			}
			table.rows = append(table.rows, row, zipped)
		}
	}
	return table, nil
}

func compareSizes(what, ours, theirs string, read func(string) ([]byte, error)) (row, error) {
	mine, err := read(ours)
	if err != nil {
		return row{}, err
	}
	other, err := read(theirs)
	if err != nil {
		return row{}, err
	}
	megabytes := func(b []byte) string { return fmt.Sprintf("%.2f MB", float64(len(b))/1e6) }
	ratio := float64(len(mine)) / float64(len(other))
	return row{what: what, ours: megabytes(mine), theirs: megabytes(other), ratio: quartiles{ratio, ratio, ratio}}, nil
}

// zipFile returns a zip with the file in it, as SAM makes it.
func zipFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	entry, err := w.Create("bootstrap")
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(entry, file); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// buildCompared builds one of the programs in compared, as AWS recommends it for
// Go functions.
func buildCompared(ctx context.Context, root, name, into, architecture string) error {
	command := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w", "-o", into, "./proof/bench/compared/"+name)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return nil
}
