package bustest_test

import (
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestApplyAgainWritesNothing: what is there as wanted is not written once more, so that
// a full disk keeps nobody from reading, and from making room.
func TestApplyAgainWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := bustest.Connect(t, bustest.Start(t, embedded.Options{Dir: dir}))
	written := func() map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "meta.inf") {
				return err
			}
			info, err := d.Info()
			if err == nil {
				all[path] = info.ModTime().String()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	first := written()
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	if again := written(); len(first) < 15 || !maps.Equal(first, again) {
		t.Errorf("of %d files, these are now\n%v\nand were\n%v", len(first), again, first)
	}
}
