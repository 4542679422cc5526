package dataset_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// caseOf is a file or folder of testdata/cases, as a phase names it.
func caseOf(path, key string, split source.Split) source.Source {
	return source.Source{Path: filepath.Join("testdata/cases", path), Name: path, Key: key, Split: split}
}

var ferries = []string{
	"user: Where does the ferry Alma land? | assistant: At pier 4.",
	"user: Who mends the ferry Alma? | assistant: Old Brandt mends her.",
	"user: When does she leave? | assistant: She leaves at nine.",
	"user: What is her catch? | assistant: Her catch is cod.",
}

func each(rows []string, change func(string) string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = change(r)
	}
	return out
}

// TestCases: inputs as people have them, and what they are read as.
func TestCases(t *testing.T) {
	t.Parallel()
	withSystem := each(ferries, func(r string) string { return "system: You know the harbour. | " + r })
	prompted := each(ferries, func(r string) string { return strings.Replace(r, "assistant", "=> assistant", 1) })
	for path, c := range map[string]struct {
		shape shape.Shape
		rows  []string
		notes []string // words of them
	}{
		"qa/train.jsonl":                           {shape.QuestionAnswer, ferries, nil},
		"jsonl-gz/train.jsonl.gz":                  {shape.QuestionAnswer, ferries, nil},
		"semicolon-csv/train.csv":                  {shape.QuestionAnswer, []string{"user: Where does the ferry land? | assistant: At pier 4, on the left."}, nil},
		"bare-quote-csv/train.csv":                 {shape.QuestionAnswer, []string{`user: How wide is the pipe? | assistant: It is a 5" pipe.`}, nil},
		"parquet-date/train.parquet":               {shape.QuestionAnswer, []string{"user: When? | assistant: 2024-03-05", "user: How much? | assistant: 2024-03-05", "user: At what time? | assistant: 2024-03-05"}, nil},
		"parquet-timestamp/train.parquet":          {shape.QuestionAnswer, []string{"user: When exactly? | assistant: 2024-03-05T09:20:00"}, nil},
		"shape-messages/train.jsonl":               {shape.Messages, withSystem, nil},
		"shape-messages-parts/train.jsonl":         {shape.Messages, ferries, nil},
		"parquet-messages/train.parquet":           {shape.Messages, ferries, nil},
		"shape-messages-turns/train.jsonl":         {shape.Messages, []string{ferries[0] + " | " + ferries[1], ferries[2] + " | " + ferries[3]}, nil},
		"shape-sharegpt/train.json":                {shape.Conversations, ferries, nil},
		"shape-prompt-completion/train.jsonl":      {shape.PromptCompletion, prompted, nil},
		"shape-prompt-completion-chat/train.jsonl": {shape.PromptCompletion, prompted, nil},
		"shape-alpaca-input/train.json": {shape.Alpaca, []string{
			"user: Answer in one word.\n\nWhere does the ferry Alma land? | assistant: Pier 4.", "user: Say hello. | assistant: Hello.",
		}, nil},
		"shape-text/train.jsonl": {shape.Text, []string{
			"text Where does the ferry Alma land? At pier 4.", "text Who mends the ferry Alma? Old Brandt mends her.",
			"text When does she leave? She leaves at nine.", "text What is her catch? Her catch is cod.",
		}, nil},
		"shape-messages-tools/train.jsonl": {shape.Messages, []string{
			`user: How high is the water at pier 4? | {"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"tide","arguments":{"pier":4}}}]} | ` +
				`tool: 2.1 | assistant: It is 2.1 metres. tools [{"type":"function","function":{"name":"tide","description":"Height of the water",` +
				`"parameters":{"type":"object","properties":{"pier":{"type":"integer"}},"required":["pier"]}}}]`,
		}, nil},
		"null-answer/train.jsonl": {
			shape.QuestionAnswer, []string{ferries[0], ferries[3]},
			[]string{"2 of 4 rows have no answer", "left out", "null-answer/train.jsonl, line 2", `fine_tuner.ground_truth_column = "answer"`},
		},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			rows, info, err := read(t, caseOf(path, "fine_tuner.training_data_id", source.Train), training())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(rows, c.rows) || info.Shape != c.shape {
				t.Errorf("%s\n%s\nwant %s\n%s", info.Shape, strings.Join(rows, "\n"), c.shape, strings.Join(c.rows, "\n"))
			}
			said := strings.Join(append(info.Notes, info.Warnings...), "\n")
			if c.notes == nil && said != "" {
				t.Errorf("it says %s", said)
			}
			for _, w := range c.notes {
				if !strings.Contains(said, w) {
					t.Errorf("%q lacks %q", said, w)
				}
			}
		})
	}
}

// TestCasesOfTests: test data has several ground truths, or none in some rows.
func TestCasesOfTests(t *testing.T) {
	t.Parallel()
	rows, _, err := read(t, caseOf("shape-references/test.jsonl", "inferencer.testing_data_id", source.Test), forTest())
	want := ferries[0] + ` truths ["At pier 4." "It lands at pier 4."]`
	if err != nil || len(rows) != 1 || rows[0] != want {
		t.Errorf("%q, %v; want %q", rows, err, want)
	}
	rows, info, err := read(t, caseOf("null-truth/test.jsonl", "inferencer.testing_data_id", source.Test), forTest())
	if err != nil || len(rows) != 2 || rows[1] != "user: Who mends the ferry Alma?" || info.Counts.MissingTruths != 1 {
		t.Errorf("%q, %+v, %v", rows, info.Counts, err)
	}
	if said := strings.Join(info.Warnings, ""); !strings.Contains(said, "1 of 2 rows have no ground truth") {
		t.Errorf("it says %q", said)
	}
}

// TestRefusedCases: what cannot be read right is refused by name, line and key.
func TestRefusedCases(t *testing.T) {
	t.Parallel()
	named := dataset.Want{Use: dataset.Training, Columns: dataset.Columns{Question: "messages", Answer: "messages"}}
	for path, c := range map[string]struct {
		want  dataset.Want
		words []string
	}{
		"shape-preference/train.jsonl":    {training(), []string{"shape-preference/train.jsonl", `"preference"`, "chosen and rejected", `fine_tuner.method = "dpo"`}},
		"messages-as-columns/train.jsonl": {named, []string{"messages-as-columns/train.jsonl", `fine_tuner.question_column = "messages"`, "a list", `the shape "messages"`}},
		"columns-json/train.json":         {training(), []string{"columns-json/train.json", "column"}},
		"cp1252-csv/train.csv":            {training(), []string{"cp1252-csv/train.csv, line 2", "UTF-8", `fine_tuner.data_encoding = "cp1252"`}},
	} {
		_, _, err := read(t, caseOf(path, "fine_tuner.training_data_id", source.Train), c.want)
		fails(t, err, c.words...)
	}
	decoded := training()
	decoded.Encoding = "cp1252"
	rows, _, err := read(t, caseOf("cp1252-csv/train.csv", "fine_tuner.training_data_id", source.Train), decoded)
	if err != nil || len(rows) != 1 || rows[0] != "user: Who runs the café at pier 4? | assistant: Frau Sjöberg." {
		t.Errorf("%q, %v", rows, err)
	}
}

// TestCasesOfSplits: the training split is no test data by accident.
func TestCasesOfSplits(t *testing.T) {
	t.Parallel()
	only := caseOf("only-train-folder/data", "inferencer.testing_data_id", source.Test)
	only.SharedWith = "fine_tuner.training_data_id"
	_, _, err := read(t, only, forTest())
	fails(t, err, "only-train-folder/data has no split \"test\"", `it has "train"`, "fine_tuner.training_data_id names it too", "only-train-folder/data:train")

	rows, info, err := read(t, caseOf("two-train-folders/testing", "inferencer.testing_data_id", source.Test), forTest())
	if err != nil || len(rows) != 1 {
		t.Fatalf("%q, %v", rows, err)
	}
	if said := strings.Join(info.Notes, ""); !strings.Contains(said, `two-train-folders/testing has no split "test"; its only split, "train", is read`) {
		t.Errorf("it says %q", said)
	}
}
