package main

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestModulesAreThoseOfTheEngine: a specification may name each module that the
// built-in engine puts an adapter on, and no other.
func TestModulesAreThoseOfTheEngine(t *testing.T) {
	t.Parallel()
	if got, want := spec.AdapterModules(), llm.Projections(); !slices.Equal(got, want) {
		t.Errorf("a specification allows %v, and the engine has %v", got, want)
	}
}
