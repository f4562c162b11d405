package bench

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"veryfi-intake/local/machine"
)

// sizes compares the binaries and the zip files that are deployed with an empty
// function.
func (b *bench) sizes(ctx context.Context) ([]Table, error) {
	table := comparison{title: "Size of the binary, and zipped"}
	b.Progress("sizes for both architectures")
	folder, err := os.MkdirTemp("", "veryfi-intake-sizes-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	for _, architecture := range []struct{ aws, golang string }{{"arm64", "arm64"}, {"x86_64", "amd64"}} {
		hello := filepath.Join(folder, "hello-"+architecture.aws)
		if err := buildCompared(ctx, b.Root, "hello", hello, architecture.golang); err != nil {
			return nil, err
		}
		for _, function := range []struct {
			id     string
			target float64
		}{{"WebhookFunction", 1.25}, {"ProcessorFunction", 1.45}, {"ReconcilerFunction", 0}} {
			artifacts := filepath.Join(folder, architecture.aws, function.id)
			if err := machine.Make(ctx, b.Root, "build-"+function.id, "ARTIFACTS_DIR="+artifacts, "ARCH="+architecture.aws); err != nil {
				return nil, err
			}
			ours, what := filepath.Join(artifacts, "bootstrap"), function.id+", "+architecture.aws
			binary, err1 := compareSizes(what, ours, hello, os.ReadFile)
			zipped, err2 := compareSizes(what+", zipped", ours, hello, zipFile)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			binary.target = function.target
			table.add(binary, zipped)
		}
	}
	return []Table{table.table()}, nil
}

func compareSizes(what, ours, theirs string, read func(string) ([]byte, error)) (row, error) {
	mine, err1 := read(ours)
	other, err2 := read(theirs)
	megabytes := func(b []byte) string { return fmt.Sprintf("%.2f MB", float64(len(b))/1e6) }
	ratio := float64(len(mine)) / float64(len(other))
	return row{what, megabytes(mine), megabytes(other), quartilesOf([]float64{ratio}), 0}, errors.Join(err1, err2)
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
