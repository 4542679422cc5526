package trainercheck_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/trainercheck"
	"github.com/tunebus/tunebus/pipeline/child/conformance"
)

// TestChecked: a check that could not be tried is not said to be a fault.
func TestChecked(t *testing.T) {
	t.Parallel()
	fine := conformance.Finding{Name: "complete", OK: true}
	untried := conformance.Finding{Name: "stop", Untried: true}
	fault := conformance.Finding{Name: "repeat"}
	for want, found := range map[string][]conformance.Finding{
		"the command keeps to the protocol: 1 checks\n":                                                                {fine},
		"no check found a fault; 1 of 2 could not be tried, so it is open whether the command keeps to the protocol\n": {fine, untried},
		"the command does not keep to the protocol: 1 of 3 checks found a fault; 1 could not be tried\n":               {fine, untried, fault},
		"the command does not keep to the protocol: 1 of 2 checks found a fault\n":                                     {fine, fault},
	} {
		var out, screen bytes.Buffer
		if err := view.NewConsole(&out, io.Discard).Print(trainercheck.Checked(found)); err != nil || out.String() != want {
			t.Errorf("%q, want %q; %v", out.String(), want, err)
		}
		c := view.NewConsole(io.Discard, &screen)
		for _, f := range found {
			trainercheck.Finding(c, f)
		}
		if got := strings.Count(screen.String(), "FAULT"); got != strings.Count(want, "1 of 3")+strings.Count(want, "1 of 2 checks") {
			t.Errorf("%d faults on the screen:\n%s", got, screen.String())
		}
	}
}
