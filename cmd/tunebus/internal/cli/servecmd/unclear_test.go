package servecmd

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/inference/inputs"
)

// TestUnclearBases: two base models of one name are the same by their folder, or by what
// their runs uploaded; otherwise neither has the name.
func TestUnclearBases(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	tuned := func(run, folder, digest string) source {
		return source{run: run, what: "the model of run " + run, names: []string{run}, Places: inputs.Places{Base: folder}, base: "b", baseDigest: digest}
	}
	for name, c := range map[string]struct {
		sources []source
		unclear bool
	}{
		"one folder":     {[]source{tuned("r", one, ""), tuned("s", one, "")}, false},
		"one upload":     {[]source{tuned("r", one, "5"), tuned("s", two, "5")}, false},
		"two":            {[]source{tuned("r", one, ""), tuned("s", two, "")}, true},
		"two uploads":    {[]source{tuned("r", one, "5"), tuned("s", two, "6")}, true},
		"a run of that":  {[]source{tuned("r", one, ""), {run: "b", what: "the model of run b", names: []string{"b"}, Places: inputs.Places{Tuned: two}}}, true},
		"a run before":   {[]source{{run: "b", what: "the model of run b", names: []string{"b"}, Places: inputs.Places{Tuned: two}}, tuned("r", one, "")}, true},
		"the base":       {[]source{tuned("r", one, ""), {what: "./b", names: []string{"b", "./b"}, Places: inputs.Places{Base: one}}}, false},
		"another folder": {[]source{tuned("r", one, ""), {what: "./b", names: []string{"b", "./b"}, Places: inputs.Places{Base: two}}}, true},
	} {
		var said []string
		got := unclearBases(c.sources, "", func(notes ...string) { said = append(said, notes...) })
		if got["b"] != c.unclear || len(said) > 0 != c.unclear || c.unclear && !strings.Contains(said[0], "the base model") {
			t.Errorf("%s: %v, %q", name, got, said)
		}
	}
}
