package evaluation

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// TestJudgeOrigins: a specification may name the judge of the settings and the
// origins that they allow. Any other address costs the judged metrics; no key is
// looked up for it, and it is not called.
func TestJudgeOrigins(t *testing.T) {
	t.Parallel()
	lookedUp := ""
	j := Judge{
		BaseURL: "https://judge.example/v1", Allowed: []string{"http://other.example:8000"},
		Key: func(address string) string {
			lookedUp = address
			return "key"
		},
	}
	for _, c := range []struct {
		url   string
		allow bool
	}{
		{"", true},
		{"https://judge.example/v2", true},
		{"https://JUDGE.example:443/v1", true},
		{"http://other.example:8000/v1", true},
		{"http://judge.example/v1", false},
		{"https://judge.example:8443/v1", false},
		{"https://judge.example.evil.example/v1", false},
		{"https://judge.example@evil.example/v1", false},
		{"http://other.example/v1", false},
		{"http://169.254.169.254/latest/meta-data", false},
		{"file:///etc/passwd", false},
		{"gopher://judge.example", false},
	} {
		lookedUp = "none"
		s := events.Evaluator{Metrics: []string{"answer_accuracy", "rouge_score"}, JudgeBaseURL: c.url}
		if judging := j.open(s); c.allow != (judging.client != nil) || c.allow != (judging.lacks == nil) {
			t.Errorf("%q: %+v", c.url, judging)
		}
		if notes := j.Lacks(s); c.allow != (len(notes) == 0) {
			t.Errorf("%q: notes %v", c.url, notes)
		}
		if !c.allow && lookedUp != "none" {
			t.Errorf("%q: a key was looked up for %q", c.url, lookedUp)
		}
	}
	if nothing := (events.Evaluator{Metrics: []string{"rouge_score"}}); (Judge{}).open(nothing) != nil || (Judge{}).Lacks(nothing) != nil {
		t.Error("nothing is to be judged, and yet")
	}
	if notes := (Judge{}).Lacks(events.Evaluator{Metrics: []string{"answer_accuracy"}}); len(notes) != 1 || !strings.Contains(notes[0], "has none") {
		t.Errorf("without a judge: %v", notes)
	}
}

// TestJudgeRedirects: a redirect to another origin is not followed, because the
// key belongs to the first one.
func TestJudgeRedirects(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	judge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(judge.Close)
	j := Judge{BaseURL: judge.URL + "/v1", Key: func(string) string { return "key" }}
	judging := j.open(events.Evaluator{Metrics: []string{"semantic_similarity"}})
	s, err := judging.judge(t.Context(), prediction.Prediction{Question: "q", GroundTruth: "a", Answer: "a"})
	if err != nil || len(s.Samples) != 1 || len(s.Samples[0].Scores) != 0 || s.complete {
		t.Errorf("scores %+v, %v", s, err)
	}
	if reached.Load() != 0 {
		t.Error("the redirect was followed")
	}
}
