package preflight

import (
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
)

// TestDataFolderInAnInput: the data folder is in no folder that the run reads.
func TestDataFolderInAnInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := runrequest.Request{Files: map[string]string{"fine_tuner.base_model_id": filepath.Join(dir, "model")}}
	for folder, refused := range map[string]bool{"model": true, "model/new/data": true, "models": false, ".": false} {
		if err := dataBesideInputs(filepath.Join(dir, folder), r); (err != nil) != refused {
			t.Errorf("%s: %v", folder, err)
		}
	}
}
