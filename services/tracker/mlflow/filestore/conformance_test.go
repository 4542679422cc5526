package filestore

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// openFolder opens the target of a folder.
func openFolder(t *testing.T, root string) *Target {
	t.Helper()
	target, err := Open(&url.URL{Scheme: "file", Path: root})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestConformance(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	mlflowtest.TestTarget(t, mlflowtest.Store{Target: openFolder(t, root), Reader: folderReader{root}})
}
