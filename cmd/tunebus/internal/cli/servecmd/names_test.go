package servecmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
)

// copies makes copies of the quickstart's base model, and returns their folder.
func copies(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(quickBase())); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestServeSameNames: a name that two arguments have is refused before anything is read, in
// either order, with both of them and what to do.
func TestServeSameNames(t *testing.T) {
	t.Parallel()
	f := folder(t, adapter(t), events.Inferencer{})
	dir := copies(t, "v1/model", "v2/model", "amber-quartz", "r")
	one, two, run := filepath.Join(dir, "v1", "model"), filepath.Join(dir, "v2", "model"), filepath.Join(dir, "amber-quartz")
	// What is read would be refused in another way.
	for _, broken := range []string{one, two, run} {
		clitest.Write(t, broken, "config.json", "{")
	}
	const advice = "serve them apart, each by a command of its own with --name and another --listen; or give a folder another name"
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"two folders":      {[]string{one, two}, []string{"the folder " + one + " and the folder " + two + " are both called model, so that a request for model could mean either", advice}},
		"swapped":          {[]string{two, one}, []string{"the folder " + two + " and the folder " + one + " are both called model", advice}},
		"a run's name":     {[]string{run, "amber-quartz"}, []string{"the folder " + run, "the run amber-quartz (r)", "are both called amber-quartz", advice}},
		"a run, swapped":   {[]string{"amber-quartz", run}, []string{"the folder " + run, "the run amber-quartz (r)", "are both called amber-quartz", advice}},
		"a run's id":       {[]string{filepath.Join(dir, "r"), "last"}, []string{"the run last (r)", "are both called r", advice}},
		"one run":          {[]string{"r", "amber-quartz"}, []string{"r and amber-quartz are both run r; leave one of them out"}},
		"one run twice":    {[]string{"r", "r"}, []string{"r is there twice; leave one of them out"}},
		"one folder":       {[]string{one, one + "/"}, []string{one + " and " + one + "/ are the same folder; leave one of them out"}},
		"among three":      {[]string{quickBase(), one, two}, []string{"are both called model"}},
		"not looked up":    {[]string{one, two, "nobody"}, []string{"are both called model"}},
		"a folder, no run": {[]string{one, "nobody"}, []string{"run nobody is unknown"}},
	} {
		status, out, screen := clitest.Run(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", f.Dir}, c.args...)...)
		for _, want := range c.says {
			if flat := strings.Join(strings.Fields(screen), " "); status != 2 || out != "" || !strings.Contains(flat, want) {
				t.Errorf("%s: status %d, want %q\n%s%s", name, status, want, out, screen)
			}
		}
	}
}

// TestServeUnclearBase: the base model beside an adapter is left out, and a note says so,
// where another model has its name; it is served where that is the same one.
func TestServeUnclearBase(t *testing.T) {
	t.Parallel()
	dir := adapter(t)
	s := serve(t, dir, "--name", quickBase())
	if !slices.Equal(s.models, []string{quickBase()}) || !strings.Contains(s.screen.String(), "the base model of "+dir+" is not served beside it: its name is "+quickBase()) {
		t.Errorf("it serves %q\n%s", s.models, s.screen)
	}
	s.stop()
	s = serve(t, quickBase(), dir)
	if want := []string{"base-model", quickBase(), filepath.Base(dir), dir}; !slices.Equal(s.models, want) || strings.Contains(s.screen.String(), "is not served") {
		t.Errorf("it serves %q, want %q\n%s", s.models, want, s.screen)
	}
}
