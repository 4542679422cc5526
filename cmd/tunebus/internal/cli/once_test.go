package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestRepeatedFlags: a flag that takes one value is refused when it is given twice, on each verb
// and before anything happens, and no value is said, which may be a secret. Flags that collect
// values take several, and a switch may be repeated.
func TestRepeatedFlags(t *testing.T) {
	values := map[string][2]string{"uint64": {"1", "2"}, "int": {"1", "2"}, "float64": {"0.1", "0.2"}, "string": {"hidden-a", "hidden-b"}}
	_, all := commands(t)
	refused := 0
	for _, c := range all {
		if !c.Runnable() || c.HasSubCommands() {
			continue
		}
		path := strings.Fields(c.CommandPath())[1:]
		try := func(f *pflag.Flag) {
			if _, list := f.Value.(pflag.SliceValue); list || f.Value.Type() == "bool" {
				return
			}
			pair, ok := values[f.Value.Type()]
			if !ok {
				pair = [2]string{"1s", "2s"}
			}
			var out, screen strings.Builder
			status := Main(t.Context(), append(path, "--"+f.Name+"="+pair[0], "--"+f.Name+"="+pair[1]), &out, &screen)
			if want := "--" + f.Name + ": it takes one value"; status != 2 || !strings.Contains(screen.String(), want) || strings.Contains(screen.String(), "hidden-") {
				t.Errorf("%s, twice --%s: status %d\n%s", c.CommandPath(), f.Name, status, screen.String())
			}
			refused++
		}
		c.LocalFlags().VisitAll(try)
		c.InheritedFlags().VisitAll(try)
	}
	if refused < 100 {
		t.Errorf("%d flags were tried", refused)
	}
	var out, screen strings.Builder
	if status := Main(t.Context(), []string{"config", "doc", "--json", "--json", "-v", "-v", "--settings", "a.toml", "--settings", "b.toml", "--help"}, &out, &screen); status != 0 {
		t.Errorf("what may be repeated: status %d\n%s", status, screen.String())
	}
}
