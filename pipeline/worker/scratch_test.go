package worker

import (
	"path/filepath"
	"testing"
)

// TestScratchIsAbsolute: programs of a job may work in another folder than the worker.
func TestScratchIsAbsolute(t *testing.T) {
	t.Parallel()
	want, err := filepath.Abs("data/scratch")
	if got := (Config{Scratch: "data/scratch"}).withDefaults().Scratch; err != nil || got != want {
		t.Errorf("%q, want %q; %v", got, want, err)
	}
}
