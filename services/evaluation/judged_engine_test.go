package evaluation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/evaluation"
)

// newJudge rates every answer 4, but for prompts that refuse picks out, which get
// its status.
func newJudge(t *testing.T, refuse func(prompt string) int) evaluation.Judge {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || len(req.Messages) == 0 {
			http.Error(w, "no prompt", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if status := refuse(req.Messages[0].Content); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error": {"message": "this prompt is too long"}}`)) // the client may have gone
			return
		}
		_, _ = w.Write([]byte(`{"choices": [{"finish_reason": "stop", "message": {"content": "4"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}`))
	}))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return evaluation.Judge{BaseURL: s.URL + "/v1"}
}

// TestJudgedCoverage: what the judge does not score is said in each row, beside the
// mean and at the gate, which needs 95 % of the rows; the other metrics have all.
func TestJudgedCoverage(t *testing.T) {
	t.Parallel()
	const rows = 40
	var content strings.Builder
	for i := range rows {
		fmt.Fprintf(&content, `{"question": "question %d.", "ground_truth": "t", "answer": "t"}`+"\n", i)
	}
	for name, c := range map[string]struct {
		refuse func(prompt string) int
		scored int64
		met    bool
		reason string // of the rows without a score
	}{
		"two rows are too long": {func(prompt string) int {
			if strings.Contains(prompt, "question 3.") || strings.Contains(prompt, "question 30.") {
				return http.StatusBadRequest
			}
			return 0
		}, 38, true, "400 Bad Request: this prompt is too long"},
		"ten rows are too long": {func(prompt string) int {
			if strings.Contains(prompt, "question 1") && !strings.Contains(prompt, "question 1.") {
				return http.StatusBadRequest
			}
			return 0
		}, 30, false, "400 Bad Request: this prompt is too long"},
		"the key is wrong": {func(string) int { return http.StatusUnauthorized }, 0, false, "401 Unauthorized: the key is not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := workertest.New(t)
			ref, err := h.Store.Put(t.Context(), "uploads/answers.jsonl", "application/jsonl", strings.NewReader(content.String()))
			if err != nil {
				t.Fatal(err)
			}
			var e engine.Engine = evaluation.Engine{Judge: newJudge(t, c.refuse)}
			got := h.Run(t, e, events.Evaluation, events.Inputs{Predictions: &ref}, func(s *events.Specification) {
				s.Evaluator.Metrics = []string{"answer_accuracy", "exact_match"}
				s.Evaluator.Gates = map[string]float64{"answer_accuracy": 0.5, "exact_match": 1}
			})
			if got.Coverage["answer_accuracy"] != (events.Coverage{Scored: c.scored, Rows: rows}) || got.Coverage["exact_match"] != whole(rows) {
				t.Errorf("coverage %v", got.Coverage)
			}
			if got.Gates[0].Met != c.met || (got.Gates[0].Reason == "") != c.met || !got.Gates[1].Met {
				t.Errorf("gates %+v", got.Gates)
			}
			if !slices.ContainsFunc(got.Notes, func(n string) bool {
				return strings.HasPrefix(n, fmt.Sprintf("answer_accuracy: %d of %d rows have no score: ", rows-c.scored, rows)) && strings.Contains(n, c.reason)
			}) {
				t.Errorf("notes %q", got.Notes)
			}
			scored := int64(0)
			for i, row := range workertest.Lines[evaluation.Row](t, h, got, events.ArtifactScores) {
				if row.Question != fmt.Sprintf("question %d.", i) {
					t.Errorf("row %d is %q", i, row.Question)
				}
				if _, ok := row.Scores["answer_accuracy"]; ok {
					scored++
				} else if !strings.Contains(row.Unscored["answer_accuracy"], c.reason) {
					t.Errorf("row %d has no score and the reason %q", i, row.Unscored["answer_accuracy"])
				}
			}
			if scored != c.scored {
				t.Errorf("%d rows have a score", scored)
			}
		})
	}
}
