package structconf_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

type sections struct {
	One one `json:"one"`
	Two two `json:"two"`
}

type one struct {
	Text  string             `json:"text" default:"usual" doc:"a text"`
	Pick  string             `json:"pick" default:"" allowed:"|left|right" doc:"a choice"`
	Count int                `json:"count" default:"3" doc:"a whole number"`
	Share float64            `json:"share" default:"0.5" doc:"a number"`
	On    bool               `json:"on" default:"true" doc:"a switch"`
	Wait  time.Duration      `json:"wait" default:"30s" doc:"a duration"`
	Names []string           `json:"names" default:"a,b" doc:"a list"`
	Table map[string]float64 `json:"table" doc:"a table"`
}

type two struct {
	Token string `json:"token" default:"" secret:"true" doc:"a secret"`
}

func defaults() sections {
	var s sections
	structconf.SetDefaults(&s)
	return s
}

func parse(t *testing.T, name, body string) structconf.Tree {
	t.Helper()
	tree, faults := structconf.ParseTOML(name, []byte(body))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return tree
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for body, change := range map[string]func(*one){
		"":                               func(*one) {},
		`text = "other"`:                 func(o *one) { o.Text = "other" },
		`text = "null"`:                  func(o *one) { o.Text = "" },
		`text = ""`:                      func(o *one) { o.Text = "" },
		`pick = "null"`:                  func(*one) {},
		`pick = "left"`:                  func(o *one) { o.Pick = "left" },
		`count = "null"`:                 func(o *one) { o.Count = 0 },
		`count = 4.0`:                    func(o *one) { o.Count = 4 },
		`count = "4"`:                    func(o *one) { o.Count = 4 },
		`share = 1`:                      func(o *one) { o.Share = 1 },
		`on = "false"`:                   func(o *one) { o.On = false },
		`wait = "1h30m"`:                 func(o *one) { o.Wait = 90 * time.Minute },
		`names = []`:                     func(o *one) { o.Names = []string{} },
		`names = " x , ,y"`:              func(o *one) { o.Names = []string{"x", "y"} },
		"table = {a = 1}\n":              func(o *one) { o.Table = map[string]float64{"a": 1} },
		"[one.table]\n\"b.c\" = 0.5":     func(o *one) { o.Table = map[string]float64{"b.c": 0.5} },
		"# a comment\ncount = 0x10 # 16": func(o *one) { o.Count = 16 },
	} {
		got, want := defaults(), defaults()
		change(&want.One)
		if faults := structconf.Decode(&got, parse(t, "f.toml", "[one]\n"+body)); len(faults) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v; %v", body, got.One, want.One, faults)
		}
	}
}

// TestFaults: each has the position, the value, the allowed values and a
// suggestion, and shows no secret.
func TestFaults(t *testing.T) {
	t.Parallel()
	body := `[one]
texd = "x"
pick = "up"
  count = 1.5
share = nan
on = "perhaps"
wait = 30
names = [1]
table = {a = "x"}
[two]
token = 5150
[three]
x = 1
`
	tree := parse(t, "f.toml", body)
	if fault := tree.Set("one.cuont=1"); fault != nil {
		t.Fatal(fault)
	}
	faults := tree.Unknown([]string{"one", "two", "tree"})
	s := defaults()
	faults = append(faults, structconf.Decode(&s, tree)...)
	faults = tree.Locate(faults, structconf.Faults{{Key: "one.count", Message: "said twice"}, {Key: "one.names[0]", Message: "an element"}, {Key: "one.missing", Message: "missing"}})
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		`--set: one.cuont: unknown key; did you mean "count"?`,
		`f.toml:2:1: one.texd: unknown key; did you mean "text"?`,
		`f.toml:3:1: one.pick = "up": not allowed (allowed: "null", "left", "right")`,
		`f.toml:4:3: one.count = 1.5: want a whole number`,
		`f.toml:5:1: one.share: want a number`,
		`f.toml:6:1: one.on = "perhaps": want true or false`,
		`f.toml:7:1: one.wait = 30: want a duration such as "30s" or "2h"`,
		`f.toml:8:1: one.names = [1]: want a list of texts`,
		`f.toml:8:1: one.names[0]: an element`,
		`f.toml:9:1: one.table = {"a":"x"}: want a table of numbers`,
		`f.toml:11:1: two.token: want a text`,
		`f.toml:12:2: three: unknown section; did you mean "tree"?`,
		`one.missing: missing`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("faults\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !reflect.DeepEqual(s, defaults()) {
		t.Errorf("a fault changed a value: %+v", s)
	}
}

// TestFaultIsOneLine: whatever a person typed.
func TestFaultIsOneLine(t *testing.T) {
	t.Parallel()
	f := structconf.Fault{Key: "--run-id", Value: "a\r\nb", Message: "a run id has no such characters"}
	if got, want := f.String(), `--run-id = a\r\nb: a run id has no such characters`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSyntax(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"[one]\ncount = = 1":          "f.toml:2:9: syntax",
		"[one]\ncount = 1\ncount = 2": "f.toml:3:1: syntax",
		"[one\n":                      "f.toml:1:5: syntax",
	} {
		if _, faults := structconf.ParseTOML("f.toml", []byte(body)); len(faults) != 1 || !strings.HasPrefix(faults[0].String(), want) {
			t.Errorf("%q: %v, want %s", body, faults, want)
		}
	}
}

// TestMerge: later files and assignments have priority for each key, and a fault
// has the position of the value that was used.
func TestMerge(t *testing.T) {
	t.Parallel()
	tree := parse(t, "a.toml", "[one]\ntext = \"a\"\ncount = 1\n[two]\ntoken = \"t\"")
	tree.Merge(parse(t, "b.toml", "\n\n[one]\ncount = \"many\""))
	s := defaults()
	faults := structconf.Decode(&s, tree)
	if s.One.Text != "a" || s.Two.Token != "t" || len(faults) != 1 || faults[0].File != "b.toml" || faults[0].Line != 4 {
		t.Errorf("%+v, %v", s, faults)
	}
	for _, assignment := range []string{"one.count = 7", "one.names=[\"x\"]", "one.text=not = TOML"} {
		if fault := tree.Set(assignment); fault != nil {
			t.Error(fault)
		}
	}
	if faults := structconf.Decode(&s, tree); len(faults) > 0 || s.One.Count != 7 || s.One.Names[0] != "x" || s.One.Text != "not = TOML" {
		t.Errorf("%+v, %v", s, faults)
	}
	for _, bad := range []string{"one.count", "count=1", ""} {
		if fault := tree.Set(bad); fault == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestTypedTexts: what a person types for a text is that text, also where TOML takes it
// for a number, a boolean or a date; the tree holds it, too. A list is none, and a file
// says what it means.
func TestTypedTexts(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"nan": "nan", "-inf": "-inf", "123": "123", "1_000": "1_000", "1e3": "1e3", "0x10": "0x10", "true": "true", "1979-05-27": "1979-05-27",
		" 007 ": "007", "07:32:00": "07:32:00", `"123"`: "123", "null": "",
	} {
		var first, tree structconf.Tree
		if fault := first.Set("one.text=" + typed); fault != nil {
			t.Fatal(fault)
		}
		tree.Merge(first)
		s := defaults()
		if faults := structconf.Decode(&s, tree); len(faults) > 0 || s.One.Text != want {
			t.Errorf("%s: %q, %v", typed, s.One.Text, faults)
		}
		if _, err := json.Marshal(tree.Sections); err != nil {
			t.Errorf("%s: %v", typed, err)
		}
	}
	var tree structconf.Tree
	for _, assignment := range []string{"one.text=1", "one.text=[1]", "one.pick=true", "one.count=nan"} {
		if fault := tree.Set(assignment); fault != nil {
			t.Fatal(fault)
		}
	}
	s := defaults()
	want := "--set: one.count: want a whole number\n--set: one.pick = \"true\": not allowed (allowed: \"null\", \"left\", \"right\")\n--set: one.text = [1]: want a text"
	if got := structconf.Decode(&s, tree).Error(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := structconf.Decode(&s, parse(t, "f.toml", "[one]\ntext = 123")).Error(); !strings.Contains(got, "one.text = 123: want a text") {
		t.Errorf("a file: %s", got)
	}
}

// TestEntriesOfTables: a flag sets one entry and keeps the others of the file and
// of the struct; setting a whole table later replaces all entries.
func TestEntriesOfTables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file  string
		flags []string
		want  map[string]float64
		fault string
	}{
		{"", []string{"one.table.a=1", "one.table.b.c=0.5"}, map[string]float64{"default": 9, "a": 1, "b.c": 0.5}, ""},
		{"table = {a = 2, b = 3}", []string{"one.table.a=1"}, map[string]float64{"a": 1, "b": 3}, ""},
		{"table = {a = 2, b = 3}", []string{"one.table.a=null"}, map[string]float64{"b": 3}, ""},
		{"table = {a = 2}", []string{`one.table.a="4"`}, map[string]float64{"a": 4}, ""},
		{"", []string{"one.table.a=1", "one.table={b = 2}"}, map[string]float64{"b": 2}, ""},
		{"", []string{"one.table={b = 2}", "one.table.a=1"}, map[string]float64{"a": 1, "b": 2}, ""},
		{"table.a = 1", []string{"one.table.b=2"}, map[string]float64{"a": 1, "b": 2}, ""},
		{"", []string{"one.table.a=high"}, map[string]float64{"default": 9}, `--set: one.table.a = "high": want a number`},
		{"", []string{"one.table.=1"}, map[string]float64{"default": 9}, `--set: one.table.: unknown key; did you mean "table"?`},
		{"", []string{"one.tables.a=1"}, map[string]float64{"default": 9}, `--set: one.tables.a: unknown key; did you mean "table"?`},
		{"", []string{"one.count.a=1"}, map[string]float64{"default": 9}, `--set: one.count.a: unknown key; did you mean "count"?`},
		{"", []string{"two.share=1"}, map[string]float64{"default": 9}, `--set: two.share: unknown key; did you mean "one.share"?`},
	} {
		s := defaults()
		original := map[string]float64{"default": 9}
		s.One.Table = original
		tree := parse(t, "f.toml", "[one]\n"+c.file)
		for _, flag := range c.flags {
			var next structconf.Tree
			if fault := next.Set(flag); fault != nil {
				t.Fatal(fault)
			}
			tree.Merge(next)
		}
		got := structconf.Decode(&s, tree).Error()
		if got != c.fault || !reflect.DeepEqual(s.One.Table, c.want) || len(original) != 1 {
			t.Errorf("%s %q: %v, want %v; faults %s", c.file, c.flags, s.One.Table, c.want, got)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	s := defaults()
	if got := structconf.Secrets(s); len(got) != 0 {
		t.Errorf("without any: %v", got)
	}
	s.Two.Token = "hush"
	if got := structconf.Secrets(s); !reflect.DeepEqual(got, map[string]string{"two.token": "hush"}) {
		t.Errorf("%v", got)
	}
	var b strings.Builder
	if err := structconf.Write(&b, s); err != nil || strings.Contains(b.String(), "hush") {
		t.Errorf("%v\n%s", err, b.String())
	}
	for _, v := range structconf.Values(s) {
		if v.Name == "token" && v.Text != "set" {
			t.Errorf("shown as %q", v.Text)
		}
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	if got := structconf.Changed(defaults()); len(got) > 0 {
		t.Errorf("the defaults have changed keys: %v", got)
	}
	s := defaults()
	s.One.Text = "" // no value
	s.One.Names = []string{"a", "c"}
	s.One.Count = 0
	s.One.Table = map[string]float64{}
	s.Two.Token = "secret"
	want := []structconf.Value{
		{Section: "one", Name: "count", Text: "0"},
		{Section: "one", Name: "names", Text: "a, c"},
		{Section: "two", Name: "token", Text: "set"},
	}
	if got := structconf.Changed(s); !slices.Equal(got, want) {
		t.Errorf("changed keys: %v, want %v", got, want)
	}
	s.One.Table["x"] = 2
	s.One.Names = []string{"a", "b"}
	want = []structconf.Value{want[0], {Section: "one", Name: "table", Text: "{\"x\":2}"}, want[2]}
	if got := structconf.Changed(s); !slices.Equal(got, want) {
		t.Errorf("changed keys: %v, want %v", got, want)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"rouge_score", "bleu_score", "chrf"}
	for word, want := range map[string]string{
		"rouge_scor": "rouge_score", "bleu": "", "chf": "chrf", "rogue_score": "rouge_score", "x": "", "": "", "semantic_similarity": "",
	} {
		if got := structconf.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
