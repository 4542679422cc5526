package judge

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// check asks for the score of the row, and gives the result.
func check(t *testing.T, m Metric, scores map[string]float64) Result {
	t.Helper()
	got, err := m.Score(t.Context(), row())
	if err != nil {
		t.Fatalf("%s: %v", m.Name(), err)
	}
	if len(got.Scores) != len(scores) {
		t.Errorf("%s: scores are %v, want %v", m.Name(), got.Scores, scores)
	}
	for key, want := range scores {
		if math.Abs(got.Scores[key]-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", key, got.Scores[key], want)
		}
	}
	return got
}

// factualServer gives verdicts on the claims of answer and truth, each of which
// is called after its side.
func factualServer(answer, truth string) *server {
	return &server{chat: func(prompt string, _ int) []string {
		_, input, _ := strings.Cut(prompt, material)
		verdicts, name := answer, "answer"
		if strings.Contains(input, `"text":"the-truth"`) || strings.Contains(input, `"context":"the-answer"`) {
			verdicts, name = truth, "truth"
		}
		claims, statements := []string{}, []any{}
		for _, v := range strings.Fields(verdicts) {
			claims = append(claims, name+" claim")
			statements = append(statements, map[string]any{"statement": name + " claim", "reason": "because", "verdict": json.RawMessage(v)})
		}
		var reply any = map[string]any{"claims": claims}
		if strings.HasPrefix(prompt, verifyTask) {
			reply = map[string]any{"statements": statements}
		}
		text, _ := json.Marshal(reply)
		return []string{string(text)}
	}}
}

func TestFactualCorrectness(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode, answer, truth string
		score, exact        float64
		calls               int
	}{
		{"f1", "1 1 0", "1 0", 0.67, 2.0 / 3, 4},
		{"recall", "1 1 0", "0 0", 0.5, 0, 4},
		{"recall", "1 0 0", "1 0", 0.5, 0.5, 4},
		{"precision", "1 1 1 0 0 0 0 0", "", 0.37, 0.375, 2},
		{"f1", "1 1 1 0 0 0 0 0", "0 0 0 0 0", 0.38, 0.375, 4},
		{"f1", "", "0", 0, 0, 3},
		{"f1", "2 -1 0", "1", 0.8, 0.8, 4},
		{"f1", `"1" true "yes" false "no"`, "1", 0.75, 0.75, 4},
		{"f1", "", "", 0, 0, 2},
		{"", "1 1", "1", 1, 1, 4},
	}
	for _, tt := range tests {
		s := factualServer(tt.answer, tt.truth)
		m := s.metric(t, "factual_correctness", Options{Mode: tt.mode})
		check(t, m, map[string]float64{"factual_correctness": tt.score, "factual_correctness_exact": tt.exact})
		if got := s.count("chat"); got != tt.calls {
			t.Errorf("%+v takes %d calls", tt, got)
		}
	}
}

func TestFactualCorrectnessSaysWhy(t *testing.T) {
	t.Parallel()
	s := factualServer("1 0", "0")
	inner := s.chat
	s.chat = func(prompt string, n int) []string {
		if strings.HasPrefix(prompt, claimsTask) {
			return []string{`{"claims": ["one", "two", "three"]}`}
		}
		return inner(prompt, n)
	}
	got := check(t, s.metric(t, "factual_correctness", Options{}), map[string]float64{"factual_correctness": 0.5, "factual_correctness_exact": 0.5})
	if len(got.Reasons) != 2 || got.Reasons[0] != "answer claim: because" {
		t.Errorf("reasons are %q", got.Reasons)
	}
	if len(got.Notes) != 2 || !strings.Contains(got.Notes[0], "2 verdicts on 3 claims of the answer") {
		t.Errorf("notes are %q", got.Notes)
	}
}

func TestAnswerCorrectness(t *testing.T) {
	t.Parallel()
	item := `{"statement": "s", "reason": "r"}`
	lists := func(tp, fp, fn int) string {
		list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]" }
		return `{"TP": ` + list(tp) + `, "FP": ` + list(fp) + `, "FN": ` + list(fn) + `}`
	}
	two, none := `{"statements": ["a", "b"]}`, `{"statements": []}`
	tests := []struct {
		name        string
		replies     []string
		opts        Options
		want        float64
		chat, embed int
	}{
		{"usual", []string{two, two, lists(1, 1, 1)}, Options{}, 0.525, 3, 1},
		{"no statements in the answer", []string{none, two, lists(0, 0, 2)}, Options{}, 0.15, 3, 1},
		{"no statements at all", []string{none, none}, Options{}, 0.9, 2, 1},
		{"beta", []string{two, two, lists(2, 1, 3)}, Options{Beta: 0.5}, 0.5911764705882353, 3, 1},
		{"factuality alone", []string{two, two, lists(1, 1, 1)}, Options{Weights: [2]float64{2, 0}}, 0.5, 3, 0},
		{"similarity alone", []string{two}, Options{Weights: [2]float64{0, 3}}, 0.6, 0, 1},
	}
	for _, tt := range tests {
		s := &server{chat: inTurn(tt.replies...), vectors: map[string][]float64{"the-truth": {1, 0}, "the-answer": {0.6, 0.8}}}
		check(t, s.metric(t, "answer_correctness", tt.opts), map[string]float64{"answer_correctness": tt.want})
		if s.count("chat") != tt.chat || s.count("embed") != tt.embed {
			t.Errorf("%s takes the calls %v", tt.name, s.calls)
		}
	}
}

func TestSemanticSimilarity(t *testing.T) {
	t.Parallel()
	s := &server{vectors: map[string][]float64{"the-truth": {1, 2, 3}, "the-answer": {2, 1, 0.5}}}
	for threshold, want := range map[float64]float64{0: 0.6415330278717848, 0.6: 1, 0.7: 0} {
		check(t, s.metric(t, "semantic_similarity", Options{Threshold: threshold}), map[string]float64{"semantic_similarity": want})
	}
	opposite := &server{vectors: map[string][]float64{"the-truth": {1, 0}, "the-answer": {-2, 0}}}
	check(t, opposite.metric(t, "semantic_similarity", Options{}), map[string]float64{"semantic_similarity": -1})

	for name, vector := range map[string][]float64{"zero": {0, 0, 0}, "short": {1}, "missing": nil, "part null": {1, math.NaN(), 3}} {
		s := &server{vectors: map[string][]float64{"the-truth": {1, 2, 3}, "the-answer": vector}}
		if got, err := s.metric(t, "semantic_similarity", Options{}).Score(t.Context(), row()); err == nil {
			t.Errorf("a vector that is %s scores %v", name, got)
		}
	}
}

func TestEmptyTextIsEmbeddedAsBlank(t *testing.T) {
	t.Parallel()
	s := &server{vectors: map[string][]float64{" ": {1, 0}, "the-truth": {1, 0}}}
	r := row()
	r.Answer = ""
	if got, err := s.metric(t, "semantic_similarity", Options{}).Score(t.Context(), r); err != nil || got.Scores["semantic_similarity"] != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnswerRelevancy(t *testing.T) {
	t.Parallel()
	vectors := map[string][]float64{"the-question": {1, 0, 0}, "q1": {0.8, 0.6, 0}, "q2": {0, 1, 0}, "q3": {3, 4, 0}, " ": {0, 0, 1}}
	q := func(question, flag string) string {
		return `{"question": "` + question + `", "noncommittal": ` + flag + `}`
	}
	tests := []struct {
		name    string
		replies []string
		want    float64
	}{
		{"usual", []string{q("q1", "1"), q("q2", "0"), q("q3", "1")}, 0.4666666666666666},
		{"all noncommittal", []string{q("q1", "1"), q("q2", "2"), q("q3", "true")}, 0},
		{"fewer than asked for", []string{q("q1", "0")}, 0.8},
		{"an empty one", []string{q("q1", "0"), q("", "0")}, 0.4},
	}
	for _, tt := range tests {
		s := &server{vectors: vectors, chat: func(string, int) []string { return tt.replies }}
		got := check(t, s.metric(t, "answer_relevancy", Options{}), map[string]float64{"answer_relevancy": tt.want})
		if fewer := len(tt.replies) < 3; fewer != (len(got.Notes) == 1) {
			t.Errorf("%s: notes are %q", tt.name, got.Notes)
		}
		if s.log[0].N != 3 || s.log[0].Temperature != temperatureMany || len(s.calls) != 2 {
			t.Errorf("%s: asked %+v in %v", tt.name, s.log[0], s.calls)
		}
		if strings.Contains(s.log[0].Messages[0].Content, "the-question") {
			t.Errorf("%s: the judge is told the question", tt.name)
		}
	}
	s := &server{vectors: vectors, chat: func(string, int) []string { return []string{q("", "0"), q("", "0")} }}
	if got, err := s.metric(t, "answer_relevancy", Options{}).Score(t.Context(), row()); err == nil {
		t.Errorf("without a question the score is %v", got)
	}
}

func TestAnswerAccuracy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		replies         []string
		want, available float64 // NaN: none
		calls           int
	}{
		{[]string{"4", "2"}, 0.75, 0.75, 2},
		{[]string{"**4**", "Rating: 2."}, 0.75, 0.75, 2},
		{[]string{"4/4", "I give 2 out of 4."}, 0.75, 0.75, 2},
		{[]string{"<think>0 or 2?</think>4", "2"}, 0.75, 0.75, 2},
		{[]string{`{"rating": 4}`, "2"}, 0.75, 0.75, 2},
		{[]string{"14", "42"}, math.NaN(), math.NaN(), 6},
		{[]string{"4 out of 10", "3"}, 0.75, 0.75, 3},
		{[]string{"On a scale of 0 to 4, I give 4.", "10", "4", "4"}, 1, 1, 4},
		{[]string{"-1", "2.5", "4", "0.4", "In 2024, 0", "0"}, 0.5, 0.5, 6},
		{[]string{"none", "no", "2", "4"}, 0.75, 0.75, 4},
		{[]string{"none", "none", "none", "4"}, math.NaN(), 1, 4},
		{[]string{"4", "none"}, 1, 1, 4},
		{[]string{cut + "2", "4"}, 1, 1, 3},
		{[]string{"none"}, math.NaN(), math.NaN(), 6},
	}
	for _, tt := range tests {
		s := &server{chat: inTurn(tt.replies...)}
		m := s.metric(t, "answer_accuracy", Options{})
		want := make(map[string]float64)
		if !math.IsNaN(tt.want) {
			want["answer_accuracy"] = tt.want
		}
		if !math.IsNaN(tt.available) {
			want["answer_accuracy_available"] = tt.available
			check(t, m, want)
		} else if got, err := m.Score(t.Context(), row()); err == nil {
			t.Errorf("%q scores %v", tt.replies, got)
		}
		if got := s.count("chat"); got != tt.calls {
			t.Errorf("%q takes %d calls, want %d", tt.replies, got, tt.calls)
		}
		first, last := s.log[0].Messages[0].Content, s.log[len(s.log)-1].Messages[0].Content
		if !strings.Contains(first, `"answer":"the-answer","truth":"the-truth"`) || !strings.Contains(last, `"answer":"the-truth","truth":"the-answer"`) {
			t.Errorf("%q: asked %q, then %q", tt.replies, first, last)
		}
	}
}
