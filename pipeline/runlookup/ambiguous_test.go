package runlookup_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/runlookup"
)

// TestAmbiguousNamesStayInTheirLine: a name ends no line of the list.
func TestAmbiguousNamesStayInTheirLine(t *testing.T) {
	t.Parallel()
	err := &runlookup.AmbiguousError{Text: "n", Runs: []runlookup.Run{{ID: "n1", Name: "a\tb\nc\rd"}, {ID: "n2", Name: "plain"}}}
	if text := err.Error(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `a\tb\nc\rd`) {
		t.Errorf("%q", text)
	}
}
