package modelexport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// DataFolderError says that the folder to write to belongs to the runs of tunebus.
type DataFolderError struct{ Dir, Data string }

func (e *DataFolderError) Error() string {
	return fmt.Sprintf("folder %s: %s is a data folder of runs, and an export would write among their files; name another one", shown(e.Dir), shown(e.Data))
}

// checkData refuses a data folder of runs, and every folder in one.
func checkData(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(filepath.Join(at, "nats", "jetstream")); err == nil && info.IsDir() {
			return &DataFolderError{Dir: dir, Data: at}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// InputFolderError says that an export would change what the run was made from. Key is empty
// if other runs were made from it.
type InputFolderError struct{ Dir, Key, Input string }

func (e *InputFolderError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("folder %s: other runs of the data folder read %s there, and an export would change it; name another folder", shown(e.Dir), shown(e.Input))
	}
	return fmt.Sprintf("folder %s: the run reads %s there as %s, and an export would change it; name another folder", shown(e.Dir), shown(e.Input), e.Key)
}

// checkInputs refuses a folder that is, or is in, a model or data set that the run reads where it
// lies, whatever the ways to it. others are what other runs read likewise.
func checkInputs(dir string, run events.Run, others []string) error {
	if run.Accepted != nil {
		for key, ref := range run.Accepted.Inputs.References() {
			if localinput.Is(ref) && isIn(dir, ref.Key) {
				return &InputFolderError{Dir: dir, Key: strings.TrimPrefix(key, "inputs.files."), Input: ref.Key}
			}
		}
	}
	for _, input := range others {
		if isIn(dir, input) || isDataIn(input, dir) {
			return &InputFolderError{Dir: dir, Input: input}
		}
	}
	return nil
}

// isIn reports whether a folder is a model or data set, or is in one.
func isIn(dir, input string) bool {
	there, err := os.Stat(input)
	if err != nil {
		return false // it is gone
	}
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, there) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

// isDataIn reports whether an input is a file in the folder, of a name that an export writes.
func isDataIn(input, dir string) bool {
	info, err := os.Stat(input)
	if err != nil || !info.Mode().IsRegular() || !isExported(filepath.Base(input)) {
		return false
	}
	parent, err := os.Stat(filepath.Dir(input))
	if err != nil {
		return false
	}
	target, err := os.Stat(dir)
	return err == nil && os.SameFile(parent, target)
}
