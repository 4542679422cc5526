package delivery

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestRedeliveryOutlastsHold: a message of an unknown version is given back for
// longer than the server's limit of deliveries takes.
func TestRedeliveryOutlastsHold(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for delivered := range topology.MaxDeliver {
		total += RedeliveryDelay(delivered+1, 10*time.Second)
	}
	if total <= holdUnknownVersion {
		t.Errorf("%d deliveries take %s, want more than %s", topology.MaxDeliver, total, holdUnknownVersion)
	}
}

// TestReasonIsShort: a reason is one line of valid text, cut at 1 KiB.
func TestReasonIsShort(t *testing.T) {
	t.Parallel()
	got := reason(errors.New("two\nlines " + strings.Repeat("ü", 2000)))
	if strings.Contains(got, "\n") || len(got) > 1<<10+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("reason is %d bytes: %q", len(got), got)
	}
}
