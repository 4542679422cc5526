package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

const ids = "[fine_tuner]\nbase_model_id = \"a/b\"\ntraining_data_id = \"a/c\"\n[inferencer]\ntesting_data_id = \"a/d\"\n"

// TestTemplateArguments: a table of a file, its dotted form and the entries of
// flags become the same text, and numbers keep their kind.
func TestTemplateArguments(t *testing.T) {
	t.Parallel()
	const want = events.Arguments(`{"day":"2024-07-26","enable_thinking":false,"limits":[1,2.0]}`)
	for name, body := range map[string]string{
		"table":  "[inferencer.chat_template_kwargs]\nlimits = [1, 2.0]\nenable_thinking = false\nday = 2024-07-26\n",
		"inline": "chat_template_kwargs = {enable_thinking = false, day = \"2024-07-26\", limits = [1, 2.0], none = \"null\"}",
		"dotted": "chat_template_kwargs.enable_thinking = false\nchat_template_kwargs.day = \"2024-07-26\"\nchat_template_kwargs.limits = [1, 2.0]",
		"text":   `chat_template_kwargs = '{"limits": [1, 2.0], "enable_thinking": false, "day": "2024-07-26"}'`,
	} {
		tree, faults := structconf.ParseTOML("f.toml", []byte(ids+body))
		if len(faults) > 0 {
			t.Fatalf("%s: %v", name, faults)
		}
		s, faults := spec.Decode(tree)
		if len(faults) > 0 || s.Inferencer.ChatTemplateKwargs != want {
			t.Errorf("%s: %s, %v", name, s.Inferencer.ChatTemplateKwargs, faults)
		}
		for _, set := range []string{"enable_thinking=true", "day=null", "effort=high"} {
			if fault := tree.Set("inferencer.chat_template_kwargs." + set); fault != nil {
				t.Fatal(fault)
			}
		}
		s, faults = spec.Decode(tree)
		if want := events.Arguments(`{"effort":"high","enable_thinking":true,"limits":[1,2.0]}`); len(faults) > 0 || s.Inferencer.ChatTemplateKwargs != want {
			t.Errorf("%s with flags: %s, %v", name, s.Inferencer.ChatTemplateKwargs, faults)
		}
	}
}

// TestTemplateArgumentFaults: what a template could not get is a fault with its
// key.
func TestTemplateArgumentFaults(t *testing.T) {
	t.Parallel()
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("a%d = 1", i)
	}
	for value, want := range map[string]string{
		`7`:                                  "want a table of values",
		`[1]`:                                "want a table of values",
		`{messages = []}`:                    "fine_tuner.chat_template_kwargs.messages: is a variable that the engine sets",
		`{"a b" = 1}`:                        "fine_tuner.chat_template_kwargs.a b: is not the name of a variable",
		`{x = nan}`:                          "want numbers that are finite",
		`{x = [inf]}`:                        "want numbers that are finite",
		"{" + strings.Join(many, ", ") + "}": "51 entries: too many (allowed: up to 50)",
		`{x = "` + strings.Repeat("x", 5_000) + `"}`: "5,008 bytes as JSON: too large (allowed: up to 4,096)",
	} {
		body := strings.Replace(ids, "[inferencer]", "chat_template_kwargs = "+value+"\n[inferencer]", 1)
		tree, faults := structconf.ParseTOML("f.toml", []byte(body))
		if len(faults) == 0 {
			_, faults = spec.Decode(tree)
		}
		if got := faults.Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, "f.toml:4:1: ") {
			t.Errorf("%.60s: %s", value, got)
		}
	}
}
