package opscmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/hubcache"
)

// TestCollectHubCache: without any server, what was fetched from the Hub and not used
// within the grace is removed, and doctor says how much there is.
func TestCollectHubCache(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TUNEBUS_DATA_HUB_CACHE", dir)
	commit := strings.Repeat("b", 40)
	write := func(name string, age time.Duration) string {
		path := filepath.Join(dir, "models", name, commit)
		if err := os.MkdirAll(path, 0o750); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		for _, file := range []string{"model.safetensors", ".complete"} {
			if err := os.WriteFile(filepath.Join(path, file), []byte("1"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(path, file), at, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, fresh := write("owner--old", 8*24*time.Hour), write("owner--fresh", time.Hour)
	if _, out, _ := clitest.Run(t, "doctor"); !strings.Contains(out, "holds 4 bytes of 2 models and data sets") || !strings.Contains(out, "tunebus gc --hub-cache") {
		t.Errorf("doctor says\n%s", out)
	}
	run := func(args ...string) hubcache.Removed {
		t.Helper()
		status, out, screen := clitest.Run(t, append([]string{"gc", "--hub-cache", "--grace", "7d", "--json"}, args...)...)
		var r hubcache.Removed
		if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
			t.Fatalf("status %d, %v\n%s%s", status, err, out, screen)
		}
		return r
	}
	for _, dry := range []bool{true, false} {
		var args []string
		if dry {
			args = []string{"--dry-run"}
		}
		r := run(args...)
		if len(r.Items) != 1 || r.Items[0].Repository != "model owner/old" || r.Bytes != 2 || r.Kept != 1 || r.DryRun != dry {
			t.Errorf("%+v", r)
		}
		if _, err := os.Stat(old); (err == nil) != dry {
			t.Errorf("dry run %t: %v", dry, err)
		}
	}
	if r := run(); len(r.Items) != 0 || r.Kept != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error(err)
	}
	if status, out, screen := clitest.Run(t, "gc", "--hub-cache", "--grace", "0s"); status != 0 || !strings.Contains(out, "removed model owner/fresh at bbbbbbbbbbbb, 2 bytes") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, "gc", "--hub-cache", "--store", "x"); status != 2 {
		t.Errorf("both kinds: status %d\n%s", status, screen)
	}
}
