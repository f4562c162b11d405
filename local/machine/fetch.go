package machine

import (
	"context"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The pom.xml files pin the versions, and the repository has a checksum of each file.
//
//go:embed */pom.xml
var poms embed.FS

// library returns the folder with the emulator's jars, below directory. It fetches
// them the first time; processes that do so at the same time wait for each other.
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
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
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
	output, err := run(ctx, exec.Command("mvn", "-q", "-B", "--strict-checksums", "-f", pomFile,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+lib))
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
