package version

import (
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	commit := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "2cc13e9"}}
	changed := append(commit[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for name, c := range map[string]struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		"set by the linker":            {"v0.2.0-3-g2cc13e9-dirty", &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, "0.2.0-3-g2cc13e9-dirty"},
		"a commit set by the linker":   {"2cc13e9", nil, "2cc13e9"},
		"version of the module":        {"", &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}, Settings: commit}, "0.1.0"},
		"commit of a checkout":         {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, "2cc13e9"},
		"commit of a changed checkout": {"", &debug.BuildInfo{Settings: changed}, "2cc13e9-dirty"},
		"no git":                       {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		"no build information":         {"", nil, "devel"},
	} {
		if got := of(c.linked, c.info); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestLinkerSetsTheVersion: the linker ignores a -X flag whose variable does
// not exist, so only a program that was built shows that the name is right.
func TestLinkerSetsTheVersion(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), "go", "run", "-ldflags", "-X github.com/tunebus/tunebus/pipeline/version.linked=v9.8.7", "./testdata/print")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "9.8.7" {
		t.Errorf("it prints %q, %v", got, err)
	}
}
