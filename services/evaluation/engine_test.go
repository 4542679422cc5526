package evaluation_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/evaluation"
)

// evaluate scores a file of answers.
func evaluate(t *testing.T, h *workertest.Harness, file, content string, change func(*events.Evaluator)) events.PhaseCompleted {
	t.Helper()
	return evaluateBeside(t, h, file, content, "", change)
}

// evaluateBeside scores a file of answers beside those of a base model.
func evaluateBeside(t *testing.T, h *workertest.Harness, file, content, baseline string, change func(*events.Evaluator)) events.PhaseCompleted {
	t.Helper()
	put := func(name, content string) *events.Reference {
		ref, err := h.Store.Put(t.Context(), "uploads/"+strings.ReplaceAll(t.Name(), "/", "-")+"/"+name, "application/octet-stream", strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return &ref
	}
	in := events.Inputs{Predictions: put(file, content)}
	if baseline != "" {
		in.BaselinePredictions = put("base-"+file, baseline)
	}
	return h.Run(t, evaluation.Engine{}, events.Evaluation, in, func(s *events.Specification) {
		s.Evaluator.Metrics = []string{"exact_match"}
		s.Pipeline.EnableInference = false // the answers are given
		change(&s.Evaluator)
	})
}

func whole(rows int64) events.Coverage { return events.Coverage{Scored: rows, Rows: rows} }

// TestCases: the small answers files that people have, each with its right values.
func TestCases(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		change  func(*events.Evaluator)
		scores  map[string]float64
		cover   events.Coverage // of exact_match
		notes   []string
		code    string   // of a failure
		message []string // of a failure
	}{
		"null-truth": {
			`{"question": "Where does the ferry Alma land?", "ground_truth": "At pier 4.", "answer": "At pier 4."}
{"question": "Who mends the ferry Alma?", "ground_truth": null, "answer": "Old Brandt."}`,
			nil, map[string]float64{"exact_match": 1}, events.Coverage{Scored: 1, Rows: 2},
			[]string{"of 2 rows 1 have no ground truth and 0 have no answer", "exact_match: 1 of 2 rows have no score: the row has no ground truth (1 row)"}, "", nil,
		},
		"null-answer": {
			`{"question": "q", "ground_truth": "At pier 4.", "answer": ""}
{"question": "q", "ground_truth": "At pier 4.", "answer": null}
{"question": "q", "ground_truth": "At pier 4."}
{"question": "q", "ground_truth": "At pier 4.", "answer": "", "error": "out of memory"}`,
			nil, map[string]float64{"exact_match": 0}, events.Coverage{Scored: 1, Rows: 4},
			[]string{"0 have no ground truth and 3 have no answer", "the row has no answer (2 rows); the row has no answer: out of memory (1 row)"}, "", nil,
		},
		"answers-other-names": {
			`{"user_input": "q1", "reference": "At pier four today.", "response": "At pier four today."}`,
			func(e *events.Evaluator) { e.Metrics = []string{"exact_match", "bleu_score"} },
			map[string]float64{"exact_match": 1, "bleu_score": 1}, whole(1), []string{"is read under RAGAS's names"}, "", nil,
		},
		"answers-unknown-names": {
			`{"foo":1}`, nil, nil, events.Coverage{}, nil, "bad_predictions",
			[]string{"there is no question, ground truth or answer", "it has foo", "evaluator.answer_column"},
		},
		"answers-number": {
			`{"question": "How many?", "ground_truth": 42, "answer": "42"}`,
			nil, map[string]float64{"exact_match": 1}, whole(1), nil, "", nil,
		},
		"answers-duplicate-index": {
			`{"index": 0, "question": "q0", "ground_truth": "truth 0", "answer": "truth 0"}
{"index": 1, "question": "q1", "ground_truth": "truth 1", "answer": "answer 1"}
{"index": 0, "question": "q2", "ground_truth": "truth 2", "answer": "answer 2"}
{"index": 1, "question": "q3", "ground_truth": "truth 3", "answer": "answer 3"}`,
			nil, map[string]float64{"exact_match": 0.25}, whole(4), nil, "", nil,
		},
		"shape-references": {
			`{"question": "Where does the ferry Alma land?", "ground_truth": ["At pier 4.", "It lands at pier 4."], "answer": "It lands at pier 4"}`,
			nil, map[string]float64{"exact_match": 1}, whole(1), nil, "", nil,
		},
		"template-think-block": {
			`{"question": "q", "ground_truth": "At pier 4.", "answer": "<think>\nThe map.\n</think>\n\nAt pier 4."}
{"question": "q", "ground_truth": "At pier 4.", "answer": "<think>\nThe map says that"}`,
			nil, map[string]float64{"exact_match": 0.5}, whole(2),
			[]string{"evaluator.strip_reasoning: 2 of 2 answers were scored without their think block; 1 of them have no text behind it"}, "", nil,
		},
		"think block of the truth": {
			`{"question": "q", "ground_truth": "<think>The map.</think>At pier 4.", "answer": "At pier 4."}
{"question": "q", "ground_truth": ["<think>a</think>At pier 4.", "At pier 5."], "answer": "<think>b</think>At pier 4."}`,
			nil, map[string]float64{"exact_match": 1}, whole(2),
			[]string{"evaluator.strip_reasoning: 2 of 2 ground truths were compared without their think block"}, "", nil,
		},
		"two sets of names": {
			`{"question": "q", "ground_truth": "At pier 4.", "answer": "At pier 4.", "user_input": "p", "reference": "No.", "response": "Yes."}`,
			nil, map[string]float64{"exact_match": 1}, whole(1), []string{`its "response" and "reference" are not read`}, "", nil,
		},
		"think block kept": {
			`{"question": "q", "ground_truth": "At pier 4.", "answer": "<think>\nThe map.\n</think>\n\nAt pier 4."}
{"question": "q", "ground_truth": "At pier 4.", "answer": "At pier 4.", "reasoning": "The map."}`,
			func(e *events.Evaluator) { e.StripReasoning = false }, map[string]float64{"exact_match": 0}, whole(2), nil, "", nil,
		},
		"no answer at all": {
			`{"question": "q", "ground_truth": "At pier 4.", "answer": null, "error": "the server is gone"}`,
			nil, nil, events.Coverage{}, nil, "no_answers", []string{"none of 1 rows has an answer", "the server is gone"},
		},
		"no truth at all": {
			`{"question": "q", "ground_truth": null, "answer": "a"}`,
			nil, nil, events.Coverage{}, nil, "no_ground_truths", []string{"none of 1 rows has a ground truth", "inferencer.ground_truth_column"},
		},
		"a truth that is emptied": {
			`{"question": "q", "ground_truth": "A", "answer": "B"}
{"question": "q", "ground_truth": "B", "answer": "B"}`,
			nil, map[string]float64{"exact_match": 0.5}, whole(2),
			[]string{"exact_match: 1 of 2 ground truths are empty, by themselves or by the metric's own normalisation; their mean is 0", "without them the mean would be 1 instead of 0.5"}, "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := workertest.New(t)
			change := c.change
			if change == nil {
				change = func(*events.Evaluator) {}
			}
			got := evaluate(t, h, "mine.jsonl", c.content+"\n", change)
			if c.code != "" {
				if got.Conclusion != events.Failure || got.Error == nil || got.Error.Code != c.code {
					t.Fatalf("conclusion %s, %+v", got.Conclusion, got.Error)
				}
				for _, want := range c.message {
					if !strings.Contains(got.Error.Message, want) || strings.Count(got.Error.Message, want) != 1 {
						t.Errorf("message %q, want %q once", got.Error.Message, want)
					}
				}
				return
			}
			if got.Conclusion != events.Success {
				t.Fatalf("%+v", got.Error)
			}
			for name, want := range c.scores {
				if v, ok := got.Scores[name]; !ok || math.Abs(v-want) > 1e-9 {
					t.Errorf("%s is %v, want %v", name, v, want)
				}
			}
			if got.Coverage["exact_match"] != c.cover {
				t.Errorf("coverage %+v, want %+v", got.Coverage["exact_match"], c.cover)
			}
			all := strings.Join(got.Notes, "\n")
			for _, want := range c.notes {
				if !strings.Contains(all, want) {
					t.Errorf("notes are %q, want %q", got.Notes, want)
				}
			}
			if len(c.notes) == 0 && len(got.Notes) > 0 {
				t.Errorf("notes are %q", got.Notes)
			}
			rows := workertest.Lines[evaluation.Row](t, h, got, events.ArtifactScores)
			for i, row := range rows {
				if row.Index != int64(i) || (len(row.Scores) == 0) != (row.Unscored["exact_match"] != "") {
					t.Errorf("row %d is %+v", i, row)
				}
			}
			if int64(len(rows)) != c.cover.Rows {
				t.Errorf("%d rows are stored", len(rows))
			}
		})
	}
}

// TestEmptyAnswers: answers of which nothing can be read are counted in a note, which says
// what to look at where they are many. Those that are right, and those of which another
// note tells, need none.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	row := func(truth, answer, more string) string {
		return fmt.Sprintf(`{"question": "q", "ground_truth": %q, "answer": %q%s}`+"\n", truth, answer, more)
	}
	full := row("t", "t", "")
	const asTexts = "answers are empty, and are scored as empty texts"
	for name, c := range map[string]struct {
		tuned, baseline string
		want            []string
	}{
		"none":        {full, full, nil},
		"all":         {row("t", "", "") + row("t", " \n", ""), "", []string{"2 of 2 " + asTexts + "; evaluator.answer_column names the column of the answers"}},
		"few":         {full + full + row("t", "", ""), "", []string{"1 of 3 " + asTexts}},
		"right":       {full + row("", " ", ""), "", nil},
		"some right":  {full + full + full + row("", "", "") + row("t", "", ""), "", []string{"2 of 5 " + asTexts + "; the ground truths of 1 of them are empty, too"}},
		"no answer":   {full + row("t", "", `, "error": "out of memory"`), "", nil},
		"of the base": {full + full + full, full + full + row("t", "", ""), []string{"base model: 1 of 3 " + asTexts}},
		"think block": {full + row("t", "<think>The map says", ""), "", nil},
		"reasoning":   {full + full + row("t", "", `, "reasoning": "The map says"`), "", []string{"1 of 3 " + asTexts}},
	} {
		got := evaluateBeside(t, h, strings.ReplaceAll(name, " ", "-")+".jsonl", c.tuned, c.baseline, func(*events.Evaluator) {})
		var notes []string
		for _, n := range got.Notes {
			if strings.Contains(n, asTexts) {
				notes = append(notes, n)
			}
		}
		if got.Conclusion != events.Success || !slices.Equal(notes, c.want) {
			t.Errorf("%s: %s, notes %q, want %q", name, got.Conclusion, got.Notes, c.want)
		}
	}
}

// TestEmptyAnswersOfInference: of answers that the run made itself nobody names another
// column, and inference tells of those that end in their reasoning.
func TestEmptyAnswersOfInference(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	for rest, said := range map[string]bool{"": true, `, "reasoning": "The map says"`: false} {
		ref, err := h.Store.Put(t.Context(), fmt.Sprintf("content/%v", said), "application/jsonl",
			strings.NewReader(`{"question": "q", "ground_truth": "t", "answer": ""`+rest+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := h.Run(t, evaluation.Engine{}, events.Evaluation, events.Inputs{Predictions: &ref}, func(s *events.Specification) {
			s.Evaluator.Metrics = []string{"exact_match"}
		})
		all := strings.Join(got.Notes, "\n")
		if strings.Contains(all, "1 of 1 answers are empty, and are scored as empty texts; the model ends them at once") != said || strings.Contains(all, "answer_column") {
			t.Errorf("%q: notes %q", rest, got.Notes)
		}
	}
}

// TestFormats: the extension of the file that a person uploaded says its format,
// else that of the store's key, and its name stands in notes and errors.
func TestFormats(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	const csv = "user_input;reference;response\nq;At pier 4.;At pier 4.\n"
	for _, c := range []struct{ key, name, note string }{
		{"content/0123", "Meine Antworten.CSV", "Meine Antworten.CSV is read under RAGAS's names"},
		{"uploads/x/predictions.csv", "", "predictions.csv is read under RAGAS's names"},
	} {
		ref, err := h.Store.Put(t.Context(), c.key, "application/octet-stream", strings.NewReader(csv))
		if err != nil {
			t.Fatal(err)
		}
		ref.Name = c.name
		got := h.Run(t, evaluation.Engine{}, events.Evaluation, events.Inputs{Predictions: &ref}, func(s *events.Specification) {
			s.Evaluator.Metrics = []string{"exact_match"}
		})
		if got.Scores["exact_match"] != 1 || len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], c.note) {
			t.Errorf("%+v: %+v, %q", c, got.Error, got.Notes)
		}
	}
}

// TestGates: a score stands for its rows. A gate is missed, with the reason, if too
// few rows have it, however good it is.
func TestGates(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	var content strings.Builder
	for i := range 20 {
		truth := `"t"`
		if i == 7 {
			truth = "null"
		}
		fmt.Fprintf(&content, `{"question": "q%d", "ground_truth": %s, "answer": "t"}`+"\n", i, truth)
	}
	for _, c := range []struct {
		coverage float64
		at       float64
		met      bool
		reason   string
	}{
		{0, 0.5, false, "19 of 20 rows have the score, 100 % are needed"},
		{0.95, 0.5, true, ""},
		{0.96, 0.5, false, "19 of 20 rows have the score, 96 % are needed"},
		{0.5, 1.5, false, ""},
		{0, 1.5, false, "19 of 20 rows have the score, 100 % are needed; and the score is below 1.5"},
	} {
		got := evaluate(t, h, fmt.Sprintf("%v-%v.jsonl", c.coverage, c.at), content.String(), func(e *events.Evaluator) {
			e.Gates, e.GateCoverage = map[string]float64{"exact_match": c.at}, c.coverage
		})
		want := events.Gate{Metric: "exact_match", AtLeast: c.at, Score: 1, Met: c.met, Reason: c.reason}
		if len(got.Gates) != 1 || got.Gates[0] != want {
			t.Errorf("%+v: %+v", c, got.Gates)
		}
		if said := slices.ContainsFunc(got.Notes, func(n string) bool {
			return strings.Contains(n, "gate exact_match is missed: 19 of 20") && strings.Contains(n, "below 1.5") == strings.Contains(c.reason, "below 1.5")
		}); said != (c.reason != "") {
			t.Errorf("%+v: notes %q", c, got.Notes)
		}
		if got.Statistics["eval_rows_without_ground_truth"] != 1 || got.Statistics["eval_rows"] != 20 {
			t.Errorf("statistics %v", got.Statistics)
		}
	}
}

// TestBaselineRows: the base model's answers belong to the rows at the same
// positions, and lack scores on their own.
func TestBaselineRows(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	tuned := `{"question": "q0", "ground_truth": "t", "answer": "t"}
{"question": "q1", "ground_truth": "t", "answer": "t"}
`
	got := evaluateBeside(t, h, "a.jsonl", tuned, `{"question": "q0", "ground_truth": "t", "answer": null}
{"question": "q1", "ground_truth": "t", "answer": "<think>x</think>t"}
`, func(*events.Evaluator) {})
	if got.Conclusion != events.Success || got.BaselineScores["exact_match"] != 1 || got.BaselineCoverage["exact_match"] != (events.Coverage{Scored: 1, Rows: 2}) || got.Coverage["exact_match"] != whole(2) {
		t.Errorf("%+v", got)
	}
	if !slices.Contains(got.Notes, "base model: exact_match: 1 of 2 rows have no score: the row has no answer (1 row)") {
		t.Errorf("notes %q", got.Notes)
	}
	rows := workertest.Lines[evaluation.Row](t, h, got, events.ArtifactScores)
	if !maps.Equal(rows[0].BaselineUnscored, map[string]string{"exact_match": "the row has no answer"}) || rows[1].BaselineAnswer != "t" {
		t.Errorf("rows %+v", rows)
	}
	for name, baseline := range map[string]string{
		"fewer":   `{"question": "q0", "ground_truth": "t", "answer": "t"}` + "\n",
		"another": strings.Replace(tuned, "q1", "q2", 1),
	} {
		got := evaluateBeside(t, h, name+".jsonl", tuned, baseline, func(*events.Evaluator) {})
		if got.Conclusion != events.Failure || got.Error.Code != "bad_predictions" || !strings.Contains(got.Error.Message, "do not belong to the same rows") {
			t.Errorf("%s: %+v", name, got.Error)
		}
	}
}

// TestJudgedRowsWithoutAJudge: each row has the reason, and the coverage is 0.
func TestJudgedRowsWithoutAJudge(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	got := evaluate(t, h, "a.jsonl", `{"question": "q", "ground_truth": "t", "answer": "t"}`+"\n", func(e *events.Evaluator) {
		e.Metrics, e.Gates = []string{"exact_match", "answer_accuracy"}, map[string]float64{"answer_accuracy": 0}
	})
	const reason = "it needs a judge, and this service has none"
	if got.Coverage["answer_accuracy"] != (events.Coverage{Rows: 1}) || got.Gates[0].Met || got.Gates[0].Reason != "no row has this score" ||
		!slices.Contains(got.Notes, "answer_accuracy: 1 of 1 rows have no score: "+reason+" (1 row)") {
		t.Errorf("%+v", got)
	}
	if row := workertest.Lines[evaluation.Row](t, h, got, events.ArtifactScores)[0]; row.Unscored["answer_accuracy"] != reason {
		t.Errorf("row %+v", row)
	}
}
