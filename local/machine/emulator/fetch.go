package emulator

import (
	"context"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"veryfi-intake/local/machine/filelock"
	"veryfi-intake/local/machine/process"
)

// The pom.xml files pin the versions, and the repository has a checksum of each file.
//
//go:embed */pom.xml
var poms embed.FS

// library returns the folder with the emulator's jars, below directory, and
// fetches them the first time. Processes that want the same one at once wait
// for each other.
func library(ctx context.Context, directory, name string, progress func(string)) (string, error) {
	pom, err := poms.ReadFile(name + "/pom.xml")
	if err != nil {
		return "", err
	}
	var project struct {
		Version string `xml:"version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil {
		return "", fmt.Errorf("read the pom.xml of %s: %w", name, err)
	}
	folder := filepath.Join(directory, name+"-"+project.Version)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	release, err := filelock.Acquire(ctx, folder+".lock")
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	progress(fmt.Sprintf("fetching %s %s with Maven, once", name, project.Version))
	if err := fetch(ctx, pom, folder); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return folder, nil
}

// fetch lets Maven copy the dependencies named in pom to folder, which is there
// whole or not at all.
func fetch(ctx context.Context, pom []byte, folder string) error {
	temporary, err := os.MkdirTemp(filepath.Dir(folder), ".fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	pomFile := filepath.Join(temporary, "pom.xml")
	if err := os.WriteFile(pomFile, pom, 0o644); err != nil {
		return err
	}
	lib := filepath.Join(temporary, "lib")
	output, err := runMaven(ctx, "-f", pomFile, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+lib)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("Maven is missing: install it (Debian: apt install maven; macOS: brew install maven) and run this again")
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("mvn failed (%w): check the network and Maven's settings.xml, then run this again; it said:\n%s", err, output)
	}
	return os.Rename(lib, folder)
}

func runMaven(ctx context.Context, arguments ...string) (output string, err error) {
	var tail tail
	lines := process.NewLines(tail.add)
	mvn := exec.Command("mvn", append([]string{"-q", "-B", "--strict-checksums"}, arguments...)...)
	mvn.Stdout, mvn.Stderr = lines, lines
	child, err := process.Start(mvn)
	if err != nil {
		return "", err
	}
	select {
	case <-child.Exited():
	case <-ctx.Done():
		child.Kill()
	}
	lines.Flush()
	return strings.TrimSpace(tail.String()), child.Err()
}
