package reportfolder_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/reportfolder"
)

// TestOf: the reports of one id from two data folders have a folder each, also once one of them
// is gone.
func TestOf(t *testing.T) {
	t.Parallel()
	reports := t.TempDir()
	first := time.Date(2026, 3, 1, 10, 0, 0, 5, time.UTC)
	second := first.Add(time.Millisecond)
	plain, beside := filepath.Join(reports, "nightly"), filepath.Join(reports, "nightly.20260301T100000.001000005Z")
	expect := func(what string, at time.Time, want string) {
		t.Helper()
		if got, err := reportfolder.Of(reports, "nightly", at); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", what, got, err, want)
		}
	}
	write := func(dir, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, reportfolder.SummaryName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect("the first one", first, plain)
	write(plain, `{"requested_at":"2026-03-01T10:00:00.000000005Z"}`)
	expect("the first one again", first, plain)
	expect("another run", second, beside)
	expect("a run of an unknown time", time.Time{}, plain)
	write(beside, `{}`)
	if err := os.RemoveAll(plain); err != nil {
		t.Fatal(err)
	}
	expect("another run behind the end of the first one", second, beside)
	write(plain, `no JSON`)
	expect("a folder that tells nothing", first, plain)
	for _, name := range []string{"nightly", filepath.Base(beside)} {
		if got := reportfolder.RunOf(name); got != "nightly" {
			t.Errorf("%s is of the run %q", name, got)
		}
	}
}
