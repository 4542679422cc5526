package trainerinstall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/trainers"
)

// addModule writes the trainer into the packages of an environment, as pip would.
func addModule(folder, program string) error {
	found, err := fileglob.In(folder, "lib/python3.*/site-packages")
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("the environment has %d folders of packages, want 1", len(found))
	}
	described := "tunebus_trainer-" + trainers.Version() + ".dist-info"
	files := map[string]string{
		described + "/METADATA": fmt.Sprintf("Metadata-Version: 2.1\nName: tunebus-trainer\nVersion: %s\nSummary: The trainer of tunebus %s\n", trainers.Version(), program),
		// So that pip leaves it alone, and says who it belongs to.
		described + "/INSTALLER": "tunebus\n",
	}
	for name, source := range trainers.Sources() {
		files[trainers.Module+"/"+name] = source
	}
	var record strings.Builder
	for name, content := range files {
		path := filepath.Join(found[0], filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			return err
		}
		record.WriteString(name + ",,\n")
	}
	record.WriteString(described + "/RECORD,,\n")
	return os.WriteFile(filepath.Join(found[0], described, "RECORD"), []byte(record.String()), 0o644)
}
