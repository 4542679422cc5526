package standalone_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/evaluation"
)

// embedder is a judge that embeds texts and counts its requests.
type embedder struct {
	mu    sync.Mutex
	asked map[string]int // by text
}

func (e *embedder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var data []map[string]any
	for i, text := range req.Input {
		e.asked[text]++
		data = append(data, map[string]any{"index": i, "embedding": []float64{1, float64(len(text) % 7)}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]any{"prompt_tokens": 5}}) // the client may have disconnected
}

// TestEvaluationEngineResume: a resumed evaluation does not ask the judge again about
// the rows that it has judged, and has the same scores as without an interruption.
// The data's own indexes occur many times: a row is known by its position.
func TestEvaluationEngineResume(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	judge := &embedder{asked: map[string]int{}}
	server := httptest.NewServer(judge)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var file bytes.Buffer
	answer := func(i int64) string { return fmt.Sprint("answer ", i) }
	const rows = 40
	for i := range int64(rows) {
		line, err := json.Marshal(prediction.Prediction{Index: i % 2, Question: "q", GroundTruth: "the truth", Answer: answer(i)})
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(line, '\n'))
	}
	ref, err := s.store.Put(t.Context(), "runs/given/predictions.jsonl", prediction.MediaType, &file)
	if err != nil {
		t.Fatal(err)
	}
	engine := evaluation.Engine{SaveEvery: time.Nanosecond, Judge: evaluation.Judge{BaseURL: server.URL + "/v1", Parallel: 1}}
	s.worker(t, s.bus, s.interrupted(engine, "interrupted"), worker.Config{Phase: events.Evaluation})
	evaluate := func(id string) events.Run {
		s.accept(t, id, func(a *events.PipelineAccepted) {
			a.Inputs.Predictions = &ref
			a.Specification.Evaluator.Metrics = []string{"rouge_score", "semantic_similarity"}
		}, events.Evaluation)
		run := s.ended(t, id)
		if c := run.Completed; c.Conclusion != events.Success {
			t.Fatalf("%s ended %s: %+v", id, c.Conclusion, c.Phases)
		}
		return run
	}
	interrupted := evaluate("interrupted").Phases[events.Evaluation]
	if len(interrupted.Attempts) != 2 || interrupted.Attempts[1].Started.ResumedFrom == 0 {
		t.Fatalf("attempts %+v", interrupted.Attempts)
	}
	for i := range interrupted.Attempts[1].Started.ResumedFrom {
		if n := judge.asked[answer(i)]; n != 1 {
			t.Errorf("the judge was asked about row %d %d times", i, n)
		}
	}
	whole := evaluate("whole").Phases[events.Evaluation].Completed
	for name, want := range whole.Scores {
		if got := interrupted.Completed.Scores[name]; got != want {
			t.Errorf("%s is %v after a resume, %v without an interruption", name, got, want)
		}
	}
	if _, ok := whole.Scores["semantic_similarity"]; !ok {
		t.Errorf("no row was judged: %v, %v", whole.Scores, whole.Notes)
	}
	if got := interrupted.Completed.Statistics["judge_calls"]; got < rows {
		t.Errorf("%v calls are counted, want those before the interruption too", got)
	}
}
