package servecmd

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/inference/inputs"
)

// TestLeftOut: two base models of one name are the same by their folder, or by what their
// runs uploaded; otherwise neither has the name. An argument has it before they do.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	tuned := func(run, folder, digest string) source {
		return source{run: run, what: "the model of run " + run, names: []string{run}, Places: inputs.Places{Base: folder}, base: "b", baseDigest: digest}
	}
	for name, c := range map[string]struct {
		sources []source
		out     bool
		noted   bool
	}{
		"one folder":     {[]source{tuned("r", one, ""), tuned("s", one, "")}, false, false},
		"one upload":     {[]source{tuned("r", one, "5"), tuned("s", two, "5")}, false, false},
		"two":            {[]source{tuned("r", one, ""), tuned("s", two, "")}, true, true},
		"two uploads":    {[]source{tuned("r", one, "5"), tuned("s", two, "6")}, true, true},
		"a run of that":  {[]source{tuned("r", one, ""), {run: "b", what: "the model of run b", names: []string{"b"}, Places: inputs.Places{Tuned: two}}}, true, true},
		"a run before":   {[]source{{run: "b", what: "the model of run b", names: []string{"b"}, Places: inputs.Places{Tuned: two}}, tuned("r", one, "")}, true, true},
		"the base":       {[]source{tuned("r", one, ""), {what: "./b", names: []string{"b", "./b"}, Places: inputs.Places{Base: one}}}, true, false},
		"another folder": {[]source{tuned("r", one, ""), {what: "./b", names: []string{"b", "./b"}, Places: inputs.Places{Base: two}}}, true, true},
	} {
		var said []string
		got := leftOut(c.sources, "", func(notes ...string) { said = append(said, notes...) })
		if got["b"] != c.out || len(said) > 0 != c.noted || c.noted && !strings.Contains(said[0], "the base model") {
			t.Errorf("%s: %v, %q", name, got, said)
		}
	}
}
