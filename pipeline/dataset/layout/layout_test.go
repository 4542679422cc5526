package layout_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// TestLayoutsAreThoseOfTheLibrary: configurations, splits and files are those that
// the library datasets sees (testdata/layouts.py).
func TestLayoutsAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/layouts.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct {
		Card    string
		Files   []string
		Configs map[string]map[source.Split][]string
		Default string
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 15 {
		t.Fatalf("%d layouts", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := layout.Of(c.Files, []byte(c.Card))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]map[source.Split][]string{}
			for _, config := range l.Configs {
				splits := map[source.Split][]string{}
				for _, s := range config.Splits {
					if s.Split == "" {
						s.Split = source.Train // the library has no split without a name
					}
					splits[s.Split] = s.Files
				}
				if config.Name == "" {
					config.Name = "default"
				}
				got[config.Name] = splits
			}
			if !reflect.DeepEqual(got, c.Configs) {
				t.Errorf("%v, want %v", got, c.Configs)
			}
			config, _, err := l.Config(source.Source{Name: "x"})
			if c.Default == "" {
				if err == nil {
					t.Errorf("%q is the default; the library has none", config.Name)
				}
			} else if err != nil || config.Name != c.Default && config.Name+"default" != c.Default {
				t.Errorf("the default is %q, %v; want %q", config.Name, err, c.Default)
			}
		})
	}
}

const card = "---\nconfigs:\n- config_name: main\n  default: true\n  data_files:\n  - {split: train, path: main/train*}\n  - {split: test, path: main/test*}\n" +
	"- config_name: hard\n  data_files:\n  - {split: test, path: hard/*}\n- config_name: gone\n  data_files: gone/*\n---\n"

var mainAndHard = []string{"hard/x.jsonl", "main/test.jsonl", "main/train.jsonl"}

// TestChoice: what a source selects of a folder, and what is said about it.
func TestChoice(t *testing.T) {
	t.Parallel()
	plain := []string{"test.jsonl", "train.jsonl", "validation.jsonl"}
	for name, c := range map[string]struct {
		files  []string
		card   string
		id     string
		own    source.Split
		shared string // other key
		want   string // files
		says   string // of the notes, or of the error
	}{
		"the phase's own":               {plain, "", "data", source.Test, "", "test.jsonl", ""},
		"the phase's own, shared":       {plain, "", "data", source.Test, "train", "test.jsonl", ""},
		"another one by name":           {plain, "", "data:train", source.Test, "train", "train.jsonl", ""},
		"by another word":               {plain, "", "data:dev", source.Test, "", "validation.jsonl", ""},
		"a missing one by name":         {plain, "", "data:hard", source.Test, "", "", `data has no configuration or split "hard"; it has the splits "train", "validation", "test"`},
		"a missing one with a config":   {mainAndHard, card, "data:hard/train", source.Test, "", "", `data:hard has no split "train"; it has "test": name one, such as key = "data:hard/test"`},
		"none and several":              {plain[:2], "", "data", source.Validation, "", "", `data has no split "validation"; it has "train", "test": name one, such as key = "data:train"`},
		"none of a phase and several":   {plain, "", "data", "", "", "", `data has several splits; it has "train", "validation", "test": name one, such as data:train`},
		"the only one":                  {plain[1:2], "", "data", source.Test, "", "train.jsonl", `data has no split "test"; its only split, "train", is read`},
		"the only one of no phase":      {plain[1:2], "", "data", "", "", "train.jsonl", ""},
		"the only one, shared":          {plain[1:2], "", "data", source.Test, "train", "", `data has no split "test"; it has "train", and train names it too: give key other data, or write the split that is meant, such as data:train`},
		"no words":                      {[]string{"a.jsonl", "b.jsonl"}, "", "data", source.Test, "", "a.jsonl b.jsonl", `no file of data says its split: all are read as "test"`},
		"no words, training":            {[]string{"a.jsonl", "b.jsonl"}, "", "data", source.Train, "test", "a.jsonl b.jsonl", ""},
		"no words, shared":              {[]string{"a.jsonl"}, "", "data", source.Test, "train", "", "it has files whose names say no split, and train names it too"},
		"a file by its name":            {[]string{"easy.jsonl", "hard.jsonl"}, "", "data:hard", source.Test, "train", "hard.jsonl", ""},
		"shards by their name":          {[]string{"easy-00000-of-00001.jsonl", "hard-00000-of-00001.jsonl"}, "", "data:hard", source.Test, "train", "hard-00000-of-00001.jsonl", ""},
		"a data set saved to the disk":  {[]string{"data-00000-of-00001.arrow"}, "", "data", source.Train, "", "data-00000-of-00001.arrow", ""},
		"saved splits":                  {[]string{"test/data-00000-of-00001.arrow", "train/data-00000-of-00001.arrow"}, "", "data", source.Test, "", "test/data-00000-of-00001.arrow", ""},
		"all files as train":            {[]string{"easy.jsonl", "hard.jsonl"}, "", "data:train", source.Test, "", "easy.jsonl hard.jsonl", ""},
		"a folder as configuration":     {mainAndHard, "", "data:main", source.Test, "", "main/test.jsonl", ""},
		"a folder and a split":          {mainAndHard, "", "data:main/train", source.Test, "", "main/train.jsonl", ""},
		"files that are left out":       {[]string{"more.jsonl", "train.jsonl"}, "", "data", source.Train, "", "train.jsonl", `files whose names say no split are left out (1): "more.jsonl"`},
		"the default configuration":     {mainAndHard, card, "data", source.Test, "", "main/test.jsonl", `of the configurations "main", "hard", "gone", "main" is read; data:NAME names another`},
		"a configuration":               {mainAndHard, card, "data:hard", source.Test, "", "hard/x.jsonl", ""},
		"a split of the default":        {mainAndHard, card, "data:train", source.Test, "", "main/train.jsonl", `"main" is read`},
		"a split of the default, spelt": {mainAndHard, card, "data:/train", source.Test, "", "main/train.jsonl", `"main" is read`},
		"a configuration without files": {mainAndHard, card, "data:gone", source.Test, "", "", `data: the files of the configuration "gone", which its card names, are not there; it has the configurations "main", "hard", "gone"`},
		"a missing configuration":       {mainAndHard, card, "data:easy/test", source.Test, "", "", `data has no configuration "easy"; it has the configurations "main", "hard", "gone"`},
		"a missing name":                {mainAndHard, card, "data:easy", source.Test, "", "", `data has no configuration or split "easy"; it has the configurations "main", "hard", "gone", and the splits "train", "test"`},
		"several and no default":        {mainAndHard, strings.Replace(card, "  default: true\n", "", 1), "owner/name@v1", source.Test, "", "", `owner/name@v1: it has the configurations "main", "hard", "gone": name one, such as owner/name@v1:main`},
		"splits that no phase knows":    {[]string{"data/test_gen-00000-of-00001.jsonl", "data/train_sft-00000-of-00001.jsonl"}, "", "o/n", source.Train, "", "", `o/n has no split "train"; it has "test_gen", "train_sft": name one, such as key = "o/n:test_gen"`},
		"a split that no phase knows":   {[]string{"data/test_gen-00000-of-00001.jsonl", "data/train_sft-00000-of-00001.jsonl"}, "", "o/n:train_sft", source.Train, "", "data/train_sft-00000-of-00001.jsonl", ""},
		"the name before the folder":    {[]string{"train/test.jsonl", "train/x.jsonl"}, "", "data", source.Test, "", "train/test.jsonl", ""},
		"the same split in another key": {plain, "", "data:train", source.Test, "same", "train.jsonl", "same names the same split"},
		"a card that cannot be read":    {plain, "---\nconfigs: [\n---\n", "data", source.Test, "", "", "README.md: its configs: cannot be read"},
		"a card without configurations": {plain, "---\nlicense: mit\n---\n", "data", source.Test, "", "test.jsonl", ""},
		"a card without a front matter": {plain, "# Data\n", "data", source.Test, "", "test.jsonl", ""},
		"a card with splits as keys":    {plain, "---\nconfigs:\n- config_name: x\n  data_files: {hard: test.jsonl}\n---\n", "data:hard", source.Test, "", "test.jsonl", ""},
		"a pattern without an end": {
			plain, "---\nconfigs:\n- config_name: x\n  data_files: \"" + strings.Repeat("{a,aa}", 30) + "\"\n---\n", "data", source.Test, "", "",
			"a pattern with more than 4 braces",
		},
		"a pattern that leads elsewhere": {plain, "---\nconfigs:\n- config_name: x\n  data_files: ../secret*\n---\n", "data", source.Test, "", "", "are not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := source.Source{Name: c.id, Key: "key", Split: c.own, SharedWith: c.shared}
			_, src.Selection = source.Parse(c.id)
			if c.shared == "same" {
				src.SharedSelection, src.Again = src.Selection, true
			}
			l, err := layout.Of(c.files, []byte(c.card))
			var choice layout.Choice
			if err == nil {
				choice, err = l.Choose(src)
			}
			said := strings.Join(choice.Notes, "\n")
			if err != nil {
				said = err.Error()
			}
			if got := strings.Join(choice.Files, " "); got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("it says %q\nwant %q", said, c.says)
			}
		})
	}
}

// FuzzOf: any card ends with a layout whose files are those that were given, or with
// an error.
func FuzzOf(f *testing.F) {
	f.Add(card, "main/train.jsonl\nhard/x.jsonl", "data:hard")
	f.Add("---\nconfigs:\n- &a {config_name: *a}\n---\n", "a", "data")
	f.Add("---\nconfigs:\n- data_files: [[a]]\n---\n", "a/b-00000-of-00001", "data:b")
	f.Fuzz(func(t *testing.T, card, names, id string) {
		files := strings.Split(names, "\n")
		l, err := layout.Of(files, []byte(card))
		if err != nil {
			return
		}
		src := source.Source{Name: id, Split: source.Test}
		_, src.Selection = source.Parse(id)
		choice, err := l.Choose(src)
		if err != nil {
			_ = err.Error()
			return
		}
		for _, name := range choice.Files {
			if !strings.Contains("\n"+names+"\n", "\n"+name+"\n") {
				t.Errorf("%q is none of the files", name)
			}
		}
	})
}
