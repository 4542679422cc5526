package prediction_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAnswers(t *testing.T, a *prediction.Answers) []prediction.Prediction {
	t.Helper()
	var all []prediction.Prediction
	for p, err := range a.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if a.Len() != int64(len(all)) {
		t.Errorf("%d rows are announced, %d read", a.Len(), len(all))
	}
	return all
}

// TestAnswersNames: a file is read under the names that it has, and a note says
// which, unless they are tunebus's own.
func TestAnswersNames(t *testing.T) {
	t.Parallel()
	full := prediction.Prediction{Question: "q1", GroundTruth: "At pier four today.", Answer: "At pier five."}
	for name, c := range map[string]struct {
		line    string
		columns prediction.Columns
		want    prediction.Prediction
		note    string
	}{
		"tunebus": {
			`{"question": "q1", "ground_truth": "At pier four today.", "answer": "At pier five."}`,
			prediction.Columns{}, full, "",
		},
		"seed": {
			`{"user_prompt": "q1", "assistant_response": "At pier five.", "ground_truth": "At pier four today."}`,
			prediction.Columns{}, full,
			`is read under the original Python pipeline's names: the question in "user_prompt", the ground truth in "ground_truth", the answer in "assistant_response"`,
		},
		"RAGAS": {
			`{"user_input": "q1", "reference": "At pier four today.", "response": "At pier five."}`,
			prediction.Columns{}, full,
			`is read under RAGAS's names: the question in "user_input", the ground truth in "reference", the answer in "response"`,
		},
		"keys": {
			`{"frage": "q1", "soll": "At pier four today.", "ist": "At pier five."}`,
			prediction.Columns{Answer: "ist", Question: "frage", GroundTruth: "soll"}, full,
			`is read under the names: the question in "frage", the ground truth in "soll", the answer in "ist"`,
		},
		"answers beside a data set": {
			`{"question": "q1", "answer": "At pier four today.", "response": "At pier five."}`,
			prediction.Columns{}, full,
			`is read under the names: the question in "question", the ground truth in "answer", the answer in "response"`,
		},
		"answer column alone": {
			`{"question": "q1", "answer": "At pier four today.", "model": "At pier five."}`,
			prediction.Columns{Answer: "model"}, full, `the ground truth in "answer", the answer in "model"`,
		},
		"tunebus wins": {
			`{"user_prompt": "x", "assistant_response": "y", "question": "q1", "ground_truth": "At pier four today.", "answer": "At pier five."}`,
			prediction.Columns{}, full, "",
		},
		"number as text": {
			`{"question": "How many?", "ground_truth": 42, "answer": "42", "index": 7}`,
			prediction.Columns{}, prediction.Prediction{Question: "How many?", GroundTruth: "42", Answer: "42"}, "",
		},
		"references": {
			`{"question": "q", "ground_truth": ["At pier 4.", null, 7], "answer": "a"}`,
			prediction.Columns{}, prediction.Prediction{Question: "q", GroundTruth: "At pier 4.", References: []string{"At pier 4.", "7"}, Answer: "a"}, "",
		},
		"own references": {
			`{"question": "q", "ground_truth": "one", "references": ["one", "two"], "answer": "a"}`,
			prediction.Columns{}, prediction.Prediction{Question: "q", GroundTruth: "one", References: []string{"one", "two"}, Answer: "a"}, "",
		},
		"missing": {
			`{"question": "q", "ground_truth": null, "answer": null}`,
			prediction.Columns{}, prediction.Prediction{Question: "q", NoGroundTruth: true, NoAnswer: true}, "",
		},
		"empty": {
			`{"question": "q", "ground_truth": "", "answer": ""}`,
			prediction.Columns{}, prediction.Prediction{Question: "q"}, "",
		},
		"failed": {
			`{"question": "q", "ground_truth": "t", "answer": "", "error": "out of memory"}`,
			prediction.Columns{}, prediction.Prediction{Question: "q", GroundTruth: "t", NoAnswer: true, Error: "out of memory"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := prediction.Open(t.Context(), prediction.Source{
				Path: write(t, "answers.jsonl", c.line+"\n"), Name: "mine.jsonl", Columns: c.columns, NeedsGroundTruth: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := readAnswers(t, a); len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
				t.Errorf("read %+v, want %+v", got, c.want)
			}
			if note := strings.Join(a.Notes(), "\n"); (c.note == "") != (note == "") || !strings.Contains(note, c.note) || c.note != "" && !strings.HasPrefix(note, "mine.jsonl ") {
				t.Errorf("note %q, want %q", note, c.note)
			}
		})
	}
}

// TestAnswersRefused: the error names the person's file, what is not there, and
// what is; all faults come at once.
func TestAnswersRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content string
		columns       prediction.Columns
		want          []string
	}{
		"unknown names": {"a.jsonl", `{"foo":1}`, prediction.Columns{}, []string{
			"mine: there is no question, ground truth or answer", "it has foo", "evaluator.answer_column", "inferencer.ground_truth_column",
		}},
		"no truth": {"a.jsonl", `{"question": "q", "answer": "a"}`, prediction.Columns{}, []string{"no ground truth beside the answers in \"answer\"", "it has question, answer"}},
		"named column": {"a.jsonl", `{"question": "q", "ground_truth": "t", "answer": "a"}`, prediction.Columns{Answer: "reply"}, []string{
			`no column "reply", which evaluator.answer_column names`, "it has question, ground_truth, answer",
		}},
		"empty file": {"a.jsonl", "\n", prediction.Columns{}, []string{"mine: the file has no predictions"}},
		"format":     {"a.doc", "{}", prediction.Columns{}, []string{"mine: unknown format", ".jsonl"}},
		"broken":     {"a.jsonl", "{\"question\":\"q\",\"ground_truth\":\"t\",\"answer\":\"a\"}\n{\"question\":", prediction.Columns{}, []string{"mine, line 2"}},
		"lists": {
			"a.jsonl", `{"question":"q","ground_truth":"t","answer":["a"]}` + "\n" + `{"question":{},"ground_truth":[["t"]],"answer":"a"}`, prediction.Columns{},
			[]string{`mine, line 1, column "answer": it holds a list, not text`, `mine, line 2, column "question": it holds an object`, `column "ground_truth"`},
		},
		"many": {"a.jsonl", strings.Repeat(`{"question":"q","ground_truth":"t","answer":["a"]}`+"\n", 12), prediction.Columns{}, []string{"line 10", "and 2 rows more"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file, c.content)
			_, err := prediction.Open(t.Context(), prediction.Source{Path: path, Name: "mine", Columns: c.columns, NeedsGroundTruth: true})
			if err == nil || strings.Contains(err.Error(), path) {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
	_, err := prediction.Open(t.Context(), prediction.Source{Path: write(t, "a.jsonl", `{"question": "q", "answer": "a"}`)})
	if err != nil {
		t.Errorf("a file without ground truths, which no metric needs: %v", err)
	}
	var names *prediction.NamesError
	if _, err := prediction.Open(t.Context(), prediction.Source{Path: write(t, "a.jsonl", `{"foo":1}`)}); !errors.As(err, &names) || len(names.Columns) != 1 {
		t.Errorf("error %v", err)
	}
}

// TestLine: a stored line has the names of the original Python pipeline beside
// tunebus's, null where something is missing, and reads back as it was.
func TestLine(t *testing.T) {
	t.Parallel()
	for _, p := range []prediction.Prediction{
		{Index: 3, System: "s", Question: "q", GroundTruth: "t", Answer: "a", Reasoning: "r", Tokens: 4, KeyFact: "k"},
		{Question: "q", GroundTruth: "one", References: []string{"one", "two"}},
		{Question: "q", NoGroundTruth: true, NoAnswer: true, Error: "why"},
	} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back prediction.Prediction
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%s reads back as %+v, %v", text, back, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["user_prompt"] != p.Question || fields["assistant_response"] != fields["answer"] ||
			(fields["answer"] == nil) != p.NoAnswer || (fields["ground_truth"] == nil) != p.NoGroundTruth {
			t.Errorf("line %s", text)
		}
		// What inference writes is an answers file.
		a, err := prediction.Open(t.Context(), prediction.Source{Path: write(t, prediction.FileName, string(text)+"\n")})
		if err != nil {
			t.Fatal(err)
		}
		p.Index, p.Tokens = 0, 0
		if got := readAnswers(t, a); !reflect.DeepEqual(got[0], p) || len(a.Notes()) > 0 {
			t.Errorf("read %+v with the notes %q, want %+v", got, a.Notes(), p)
		}
	}
	old := []byte(`{"index":1,"question":"q","ground_truth":"t","answer":"","error":"e"}`)
	for p, err := range prediction.Read(bytes.NewReader(old)) {
		if err != nil || !p.NoAnswer || p.NoGroundTruth || p.Index != 1 {
			t.Errorf("a line of an earlier version reads as %+v, %v", p, err)
		}
	}
}

func TestTruths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    prediction.Prediction
		want []string
	}{
		{prediction.Prediction{}, []string{""}},
		{prediction.Prediction{NoGroundTruth: true}, nil},
		{prediction.Prediction{GroundTruth: "a", References: []string{"a", "b"}}, []string{"a", "b"}},
	} {
		if got := c.p.Truths(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("truths of %+v are %q", c.p, got)
		}
	}
}

func TestSplitReasoning(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"":                                       {"", ""},
		" At pier 4. ":                           {" At pier 4. ", ""},
		"<think>\nhm\n</think>\n\nAt pier 4.":    {"At pier 4.", "hm"},
		"\n<think></think>\n\nAt pier 4.":        {"At pier 4.", ""},
		"the map says\n</think>\n\nAt pier 4.":   {"At pier 4.", "the map says"},
		"<think>never ends":                      {"", "never ends"},
		"<think>a</think>b</think>c":             {"b</think>c", "a"},
		"Use the tag <think>x</think> for that.": {"Use the tag <think>x</think> for that.", ""},
		"[THINK]a[/THINK]b":                      {"b", "a"},
		"◁think▷a◁/think▷b":                      {"b", "a"},
		"<seed:think>a</seed:think>b":            {"b", "a"},
		"<think>a<think>b</think>c</think>d":     {"d", "a<think>b</think>c"},
		"<think>a<think>b</think>c":              {"c", "a<think>b"},
		"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": {"b", "a"},
	} {
		answer, reasoning := prediction.SplitReasoning(text)
		if answer != want[0] || reasoning != want[1] {
			t.Errorf("%q: answer %q, reasoning %q", text, answer, reasoning)
		}
	}
}

// FuzzSplitReasoning: whatever a model writes, answer and reasoning are parts of it,
// and an answer that was split off is not split again in a way that loses it.
func FuzzSplitReasoning(f *testing.F) {
	for _, text := range []string{"", "<think>a</think>b", "a</think>b", "<think>a", "[THINK]<think>a[/THINK]</think>b", "<think></think></think>", "◁think▷a◁/think▷"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		answer, reasoning := prediction.SplitReasoning(text)
		if !strings.HasSuffix(strings.TrimSpace(text), strings.TrimSpace(answer)) || !strings.Contains(text, reasoning) {
			t.Errorf("%q: answer %q, reasoning %q", text, answer, reasoning)
		}
		if answer == text && reasoning != "" {
			t.Errorf("%q stays whole and has the reasoning %q", text, reasoning)
		}
	})
}

// TestAnswersDelimiter: an answers file may have a delimiter that a key names, which the
// error of the table says.
func TestAnswersDelimiter(t *testing.T) {
	t.Parallel()
	src := prediction.Source{Path: write(t, "a.csv", "question^ground_truth^answer\nq^t^a\n"), Name: "mine"}
	if _, err := prediction.Open(t.Context(), src); err == nil || !strings.Contains(err.Error(), `if '^' separates the cells, set inferencer.data_delimiter = "^"`) {
		t.Errorf("%v", err)
	}
	src.Delimiter = "^"
	a, err := prediction.Open(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAnswers(t, a); len(got) != 1 || got[0].Answer != "a" || got[0].GroundTruth != "t" {
		t.Errorf("%+v", got)
	}
	src.Delimiter = "^^"
	if _, err := prediction.Open(t.Context(), src); err == nil || !strings.Contains(err.Error(), "mine: inferencer.data_delimiter: ") {
		t.Errorf("%v", err)
	}
}

// TestSeveralTruths: those of the ground truth's column and of references together, of
// which a table has the JSON; texts that look like lists elsewhere are told of.
func TestSeveralTruths(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, body string
		want       []string
		note       string
	}{
		"references in a table":     {"a.csv", "question,answer,references\nq,dog,\"[\"\"cat\"\", \"\"dog\"\"]\"\n", []string{"cat", "dog"}, ""},
		"both columns":              {"a.jsonl", `{"question":"q","answer":"a","ground_truth":"cat","references":["dog","cat"]}`, []string{"cat", "dog"}, ""},
		"a list as JSON":            {"a.csv", "question,answer,ground_truth\nq,dog,\"[\"\"cat\"\", \"\"dog\"\"]\"\n", nil, "1 of 1 ground truths (\"ground_truth\") look like lists"},
		"a list as Python shows it": {"a.csv", "question,answer,ground_truth\nq,dog,\"['cat', 'dog']\"\n", nil, "look like lists"},
		"a link in brackets":        {"a.csv", "question,answer,ground_truth\nq,dog,[dog]\n", nil, ""},
	} {
		path := filepath.Join(t.TempDir(), c.file)
		if err := os.WriteFile(path, []byte(c.body), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := prediction.Open(t.Context(), prediction.Source{Path: path, Name: c.file})
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(a.Notes(), "\n")
		if got := readAnswers(t, a)[0]; !slices.Equal(got.References, c.want) || (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: references %q, notes %q", name, got.References, notes)
		}
	}
}
