package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
)

// Remove removes the files of a run from its folder, also those that a killed process
// left half-written, and then the folder. Files that [Write] did not write stay, and
// the folder with them; Remove returns their paths. It changes nothing and found is
// false if there is no such folder.
func Remove(dir string) (found bool, foreign []string, err error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("remove the reports: %w", err)
	}
	if err := atomicfile.RemoveTemps(dir); err != nil {
		return true, nil, err
	}
	ours := []string{PipelineSummaryName, ConfigName, SummaryName, WorkbookName}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if temporary, _ := filepath.Match(atomicfile.TempPattern, f.Name()); temporary {
			continue
		}
		if !slices.Contains(ours, f.Name()) || f.IsDir() {
			foreign = append(foreign, path)
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true, nil, fmt.Errorf("remove the reports: %w", err)
		}
	}
	if len(foreign) > 0 {
		return true, foreign, nil
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, nil, fmt.Errorf("remove the reports: %w", err)
	}
	return true, nil, nil
}
