package removal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// TestRemoval: a tracker that works for others removes nothing outside its own folder,
// and says what is left; a person's command follows the links.
func TestRemoval(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		anyFolder, linked bool
		gap               string
		left              bool
	}{
		"a tracker":                {linked: true, gap: "remove that folder", left: true},
		"a person":                 {anyFolder: true, linked: true},
		"a tracker, without links": {left: true},
		"a person, without links":  {anyFolder: true, gap: "it was not tracked to its end", left: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			folder := filepath.Join(dir, "there", "r")
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "config.toml")
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			deleted := events.PipelineDeleted{RunID: "r"}
			if c.linked {
				deleted.Links = map[string]string{"config.toml": path, "mlflow_pipeline": "file:///x/1/2"}
			}
			own := filepath.Join(dir, "here")
			done, err := Removal{
				Deleted: deleted, Dir: own, AnyFolder: c.anyFolder,
				List: func(ctx context.Context, e runlist.Entry) error { return runlist.New(own).Update(ctx, e) },
			}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(done.Gaps, ";"); (c.gap == "") != (text == "") || !strings.Contains(text, c.gap) {
				t.Errorf("gaps %q", text)
			}
			if exists(path) != c.left || exists(own) {
				t.Errorf("reports left: %t; a folder made: %t", exists(path), exists(own))
			}
		})
	}
	// A path that is no folder of reports of the run is not touched.
	for _, links := range []map[string]string{{"config.toml": "/etc/config.toml"}, {"passwd": "r/passwd"}, {"config.toml": "/x/r/other"}} {
		if dir := linkedFolder(events.PipelineDeleted{RunID: "r", Links: links}); dir != "" {
			t.Errorf("%v lead to %s", links, dir)
		}
	}
}
