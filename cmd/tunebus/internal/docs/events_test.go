package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestManualHasEveryEvent: the page of the events names each event, and its table
// has a row for each fact.
func TestManualHasEveryEvent(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range slices.Sorted(slices.Values(events.Types())) {
		name := typ
		if phase, event, _ := strings.Cut(typ, "."); events.Phase(phase).Valid() {
			name = "<phase>." + event
		}
		pattern := "`" + regexp.QuoteMeta(name) + "[.`]"
		if _, isFact := events.New(typ).(events.Fact); isFact {
			pattern = `(?m)^\| ` + pattern
		}
		if !regexp.MustCompile(pattern).Match(page) {
			t.Errorf("docs/events.md has no %s", name)
		}
	}
}
