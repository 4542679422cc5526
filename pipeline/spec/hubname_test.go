package spec_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestHubNames holds which names the Hub takes, as huggingface_hub checks them.
func TestHubNames(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"owner/name": true, "o/n": true, "a-b/c_d.e": true, "o/_x": true, "o/" + strings.Repeat("n", 96): true,
		"name": false, "o/": false, "/n": false, "o/n/x": false, "o/a--b": false, "o/a..b": false, "o/-a": false, "o/a.": false,
		"o/n.git": false, "o/a b": false, "o/é": false, "../x": false, "o/..": false, "o/n?x=1": false, "o/" + strings.Repeat("n", 97): false, "o/n\n": false,
	} {
		if got := spec.CheckHubRepository(id) == nil; got != ok {
			t.Errorf("%q: %t", id, got)
		}
	}
	for owner, ok := range map[string]bool{"someone": true, "some-one": true, "a/b": false, "": false, "..": false, "a@b": false} {
		if got := spec.CheckHubOwner(owner) == nil; got != ok {
			t.Errorf("%q: %t", owner, got)
		}
	}
}
