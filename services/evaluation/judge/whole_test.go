package judge

import (
	"strings"
	"testing"
)

// TestUnfitAnswers: an answer of another model, one that a filter cut, and one that the
// server gave up give no score, and the row's reason says which it was.
func TestUnfitAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s      *server
		metric string
		says   string
		calls  int
	}{
		"another model":           {&server{more: map[string]any{"model": "other/model"}}, "answer_accuracy", `it says that "other/model" answered; name in evaluator.llm`, 1},
		"the key as model":        {&server{more: map[string]any{"model": "sk-secret-of-mine"}}, "answer_accuracy", `it says that "[hidden]" answered`, 1},
		"another embedding model": {&server{moreEmbedded: map[string]any{"model": "other/model"}, vector: []float64{1}}, "semantic_similarity", `it says that "other/model" answered; name in evaluator.embedding`, 1},
		"a filter":                {&server{finish: "content_filter"}, "answer_accuracy", `its finish_reason is "content_filter"`, 1},
		"given up":                {&server{finish: "abort"}, "answer_accuracy", `after 2 retries: the server did not finish the judge's answer: its finish_reason is "abort"`, 3},
		"cut":                     {&server{finish: "length"}, "answer_accuracy", "after 2 retries", 6},
		"no choice":               {&server{more: map[string]any{"choices": []any{}}}, "answer_accuracy", "after 2 retries: the response has no answer", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.s
			s.chat = func(string, int) []string { return []string{"4"} }
			got, err := s.metric(t, c.metric, Options{}).Score(t.Context(), row())
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || len(got.Scores) > 0 {
				t.Errorf("scores %v, %v; want %q", got.Scores, err, c.says)
			}
			if n := s.count("chat") + s.count("embed"); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
}

// TestFitAnswers: names that mean the same model, a server that says none, and llama.cpp,
// whose one model is called anything.
func TestFitAnswers(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]map[string]any{
		"the same":         {"model": "judge"},
		"with an owner":    {"model": "owner/judge"},
		"with its version": {"model": "judge-2026-01-01"},
		"none":             {},
		"llama.cpp":        {"model": "model.gguf", "timings": map[string]any{"prompt_n": 1}},
	} {
		s := &server{more: more, chat: func(string, int) []string { return []string{"4"} }}
		check(t, s.metric(t, "answer_accuracy", Options{}), map[string]float64{"answer_accuracy": 1, "answer_accuracy_available": 1})
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestOddUsage: counts that are none cost nothing, and the answer counts.
func TestOddUsage(t *testing.T) {
	t.Parallel()
	for _, usage := range []any{
		map[string]any{"prompt_tokens": -5, "completion_tokens": 1e300, "total_tokens": "x"}, map[string]any{"prompt_tokens": "many"}, nil, "many",
	} {
		s := &server{more: map[string]any{"usage": usage}, chat: func(string, int) []string { return []string{"4"} }}
		c := s.client(t)
		m, err := New("answer_accuracy", c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		check(t, m, map[string]float64{"answer_accuracy": 1, "answer_accuracy_available": 1})
		if u := c.Usage(); u.InputTokens != 0 || u.OutputTokens != 0 {
			t.Errorf("%v: %+v", usage, u)
		}
	}
}

// TestKeyInAnAnswer: what a judge writes gets into reports, and a key in it does not.
func TestKeyInAnAnswer(t *testing.T) {
	t.Parallel()
	s := factualServer("0", "0")
	inner := s.chat
	s.chat = func(prompt string, n int) []string {
		out := inner(prompt, n)
		return []string{strings.ReplaceAll(out[0], "because", "my key is sk-secret-of-mine")}
	}
	got, err := s.metric(t, "factual_correctness", Options{}).Score(t.Context(), row())
	if all := strings.Join(got.Reasons, "\n"); err != nil || strings.Contains(all, "sk-secret") || !strings.Contains(all, "[hidden]") {
		t.Errorf("%v, %s", err, all)
	}
}
