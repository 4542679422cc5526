package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestModulesAreThoseOfTheEngine: a specification may name each module that the
// built-in engine puts an adapter on, and no other.
func TestModulesAreThoseOfTheEngine(t *testing.T) {
	t.Parallel()
	if got, want := spec.AdapterModules(), slices.Concat(llm.Projections(), llm.FusedProjections()); !slices.Equal(got, want) {
		t.Errorf("a specification allows %v, and the engine has %v", got, want)
	}
}

// TestSchedulersAreThoseOfTheEngine: a specification for the built-in engine may name
// each scheduler that it has, and no other.
func TestSchedulersAreThoseOfTheEngine(t *testing.T) {
	t.Parallel()
	for _, k := range spec.Keys() {
		if k.Section+"."+k.Name != "fine_tuner.lr_scheduler_type" {
			continue
		}
		for _, name := range k.Allowed {
			faults := faultsOf(set(t, k, name))
			allowed := !slices.ContainsFunc(faults, func(f structconf.Fault) bool { return strings.Contains(f.Message, "does not have this schedule") })
			if allowed != slices.Contains(llm.Schedulers(), name) {
				t.Errorf("%s: %q, and the engine has %q", name, faults, llm.Schedulers())
			}
		}
		return
	}
	t.Error("there is no such key")
}
