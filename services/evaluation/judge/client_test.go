package judge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

func TestNew(t *testing.T) {
	t.Parallel()
	c := clientOf(t, "http://localhost:1/v1")
	for _, name := range Names() {
		if m, err := New(name, c, Options{}); err != nil || m.Name() != name {
			t.Errorf("%q makes %v, %v", name, m, err)
		}
	}
	var unknown *metric.UnknownMetricError
	if _, err := New("bleu_score", c, Options{}); !errors.As(err, &unknown) || !slices.Equal(unknown.Known, Names()) {
		t.Errorf("an unknown name gives %v", err)
	}
	for name, opts := range map[string]Options{
		"factual_correctness": {Mode: "f2"},
		"answer_correctness":  {Weights: [2]float64{1, -1}},
		"answer_accuracy":     {Beta: -1},
	} {
		var option *metric.OptionError
		if _, err := New(name, c, opts); !errors.As(err, &option) || option.Metric != name {
			t.Errorf("%s with %+v gives %v", name, opts, err)
		}
	}
	for _, address := range []string{"judge:8000", "ftp://judge", "http://", "http://\x00"} {
		if _, err := NewClient(Config{BaseURL: address}); err == nil {
			t.Errorf("address %q is accepted", address)
		}
	}
}

func TestUsageAndCost(t *testing.T) {
	t.Parallel()
	s := factualServer("1", "1")
	s.vectors = map[string][]float64{"the-truth": {1}, "the-answer": {1}}
	c := s.client(t)
	for _, name := range []string{"factual_correctness", "semantic_similarity"} {
		m, err := New(name, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Score(t.Context(), row()); err != nil {
			t.Fatal(err)
		}
	}
	got := c.Usage()
	if want := (Usage{Calls: 5, InputTokens: 405, OutputTokens: 40}); got != want {
		t.Errorf("usage is %+v, want %+v", got, want)
	}
	if cost := (Usage{InputTokens: 2_000_000, OutputTokens: 500_000}).Cost(0.15, 0.6); cost != 0.6 {
		t.Errorf("cost is %v, want 0.6", cost)
	}
	if got := s.log[0]; got.Model != "judge" || got.Temperature != temperature || got.N != 0 || got.MaxTokens != 2048 || s.auth[0] != "Bearer sk-secret" {
		t.Errorf("asked %+v with %q", got, s.auth[0])
	}
}

// Not parallel: it is about the environment.
func TestKeyOfTheEnvironmentIsNotSent(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-mine")
	t.Setenv("OPENAI_ORG_ID", "mine")
	s := factualServer("1", "1")
	c := s.client(t)
	keyless, err := NewClient(Config{BaseURL: "http://" + c.host + "/v1", LLM: "judge"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New("factual_correctness", keyless, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Score(t.Context(), row()); err != nil {
		t.Fatal(err)
	}
	for _, auth := range s.auth {
		if auth != "" {
			t.Errorf("a server without keys got %q", auth)
		}
	}
}

func TestRepairs(t *testing.T) {
	t.Parallel()
	const good = `{"claims": []}`
	tests := []struct {
		name    string
		replies []string
		calls   int
		fault   string
	}{
		{"prose around", []string{`Here: {"claims": ["} \" ]"]} done`}, 1, ""},
		{"fence", []string{"see {1}\n```json\n" + good + "\n```"}, 1, ""},
		{"second is good", []string{"no", good}, 2, ""},
		{"fourth is good", []string{"no", `{"claims": 1}`, `{}`, good}, 4, ""},
		{"never", []string{"no"}, 4, "no complete JSON"},
		{"unbalanced", []string{`{"claims": [}`}, 4, "no complete JSON"},
		{"cut", []string{cut + good}, 1, "limit of tokens"},
		{"cut later", []string{"no", cut + `{"claims"`}, 2, "limit of tokens"},
	}
	for _, tt := range tests {
		s := &server{chat: inTurn(tt.replies...)}
		_, err := ask[claimsReply](t.Context(), s.client(t), "prompt")
		if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if got := s.count("chat"); got != tt.calls {
			t.Errorf("%s: %d calls, want %d", tt.name, got, tt.calls)
		}
		if last := s.log[len(s.log)-1]; tt.calls > 1 && len(last.Messages) != 3 {
			t.Errorf("%s: a correction has %d messages", tt.name, len(last.Messages))
		}
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		want   error // nil: one of the row alone
		calls  int
	}{
		{http.StatusTooManyRequests, ErrUnavailable, 3},
		{http.StatusBadGateway, ErrUnavailable, 3},
		{http.StatusUnauthorized, ErrRefused, 1},
		{http.StatusNotFound, ErrRefused, 1},
		{http.StatusBadRequest, nil, 1},
	}
	for _, tt := range tests {
		s := &server{refuse: func(int) int { return tt.status }}
		_, err := s.metric(t, "semantic_similarity", Options{}).Score(t.Context(), row())
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && (errors.Is(err, ErrRefused) || errors.Is(err, ErrUnavailable)) {
			t.Errorf("%d gives %v", tt.status, err)
		}
		if tt.status == http.StatusUnauthorized && strings.Contains(err.Error(), "sk-") {
			t.Errorf("a key is in %q", err)
		}
		if got := len(s.calls); got != tt.calls {
			t.Errorf("%d: %d calls, want %d", tt.status, got, tt.calls)
		}
	}

	once := &server{vectors: map[string][]float64{"the-truth": {1}, "the-answer": {1}}, refuse: func(call int) int {
		if call == 1 {
			return http.StatusTooManyRequests
		}
		return 0
	}}
	check(t, once.metric(t, "semantic_similarity", Options{}), map[string]float64{"semantic_similarity": 1})
}

func TestUnreachableJudge(t *testing.T) {
	t.Parallel()
	c := clientOf(t, "http://user:pw-secret@127.0.0.1:1/v1?key=secret")
	m, err := New("answer_accuracy", c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Score(t.Context(), row())
	if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}

func TestCancelEndsARow(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &server{chat: func(string, int) []string { cancel(stop); <-ctx.Done(); return []string{"4"} }}
	suite := NewSuite(s.metric(t, "answer_accuracy", Options{}), s.metric(t, "factual_correctness", Options{}))
	if _, err := suite.Score(ctx, row()); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if notes := suite.Notes(); len(notes) != 0 {
		t.Errorf("a row that was broken off counts: %q", notes)
	}
}

func TestSuiteGivesUpWhatCannotSucceed(t *testing.T) {
	t.Parallel()
	good := &server{vectors: map[string][]float64{"the-truth": {1}, "the-answer": {1}}}
	refusing := &server{refuse: func(int) int { return http.StatusUnauthorized }}
	down := &server{refuse: func(int) int { return http.StatusServiceUnavailable }}
	odd := &server{chat: inTurn("none")}
	suite := NewSuite(
		good.metric(t, "semantic_similarity", Options{}),
		refusing.metric(t, "factual_correctness", Options{}),
		down.metric(t, "answer_correctness", Options{}),
		odd.metric(t, "answer_accuracy", Options{}),
	)
	all := metric.NewAggregate(nil)
	for range 6 {
		outcomes, err := suite.Score(t.Context(), row())
		if err != nil {
			t.Fatal(err)
		}
		all.Add(Samples(outcomes))
		if outcomes[0].Err != nil || outcomes[1].Err == nil || outcomes[2].Err == nil || outcomes[3].Err == nil {
			t.Fatalf("outcomes are %+v", outcomes)
		}
	}
	if got := all.Result(); len(got) != 1 || got["semantic_similarity"] != 1 || all.Scored("semantic_similarity") != 6 {
		t.Errorf("result is %v", got)
	}
	if len(refusing.calls) != 2 || len(down.calls) != maxUnavailable*3 || len(odd.calls) != 6*2*ratingTries {
		t.Errorf("calls are %d, %d, %d", len(refusing.calls), len(down.calls), len(odd.calls))
	}
	notes := suite.Notes()
	if len(notes) != 3 || !strings.Contains(notes[0], "metric factual_correctness: 6 of 6 rows have no score, as it was given up: ") ||
		!strings.Contains(notes[2], "metric answer_accuracy: 6 of 6 rows have no score: the judge gave no rating from 0 to 4 (6 times)") {
		t.Errorf("notes are %q", notes)
	}
}
