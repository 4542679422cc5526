package hubname_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubname"
)

// TestNames holds which names the Hub takes, as huggingface_hub checks them.
func TestNames(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"owner/name": true, "o/n": true, "a-b/c_d.e": true, "o/_x": true, "o/" + strings.Repeat("n", 96): true,
		"name": false, "o/": false, "/n": false, "o/n/x": false, "o/a--b": false, "o/a..b": false, "o/-a": false, "o/a.": false,
		"o/n.git": false, "o/a b": false, "o/é": false, "../x": false, "o/..": false, "o/n?x=1": false, "o/" + strings.Repeat("n", 97): false, "o/n\n": false,
	} {
		if got := hubname.CheckRepository(id) == nil; got != ok {
			t.Errorf("%q: %t", id, got)
		}
	}
	for owner, ok := range map[string]bool{"someone": true, "some-one": true, "a/b": false, "": false, "..": false, "a@b": false} {
		if got := hubname.CheckOwner(owner) == nil; got != ok {
			t.Errorf("%q: %t", owner, got)
		}
	}
}

// TestFaults: all names that the Hub does not take are found at once; empty ones ask for
// nothing.
func TestFaults(t *testing.T) {
	t.Parallel()
	if got := hubname.Faults("m", "name", map[string]string{"a": "", "b": "someone"}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	got := hubname.Faults("m", "../x", map[string]string{"b": "b b", "a": "a/b", "long": strings.Repeat("x", 1000)})
	if len(got) != 3 || got[0].Key != "m" || got[1].Key != "a" || got[2].Key != "b" || got[1].Allowed == "" {
		t.Errorf("%+v", got)
	}
}
