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
	if got := s.log[0]; got.Model != "judge" || got.Temperature != temperature || got.N != 0 || got.MaxTokens != 2048 || s.auth[0] != "Bearer sk-secret-of-mine" {
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
		{"never", []string{"no"}, 11, "no complete JSON"},
		{"unbalanced", []string{`{"claims": [}`}, 11, "no complete JSON"},
		{"once cut", []string{cut + good, good}, 2, ""},
		{"cut", []string{cut + good}, 3, "limit of tokens"},
		{"cut later", []string{"no", cut + `{"claims"`}, 4, "limit of tokens"},
	}
	for _, tt := range tests {
		s := &server{chat: inTurn(tt.replies...)}
		c := s.client(t)
		c.cfg.MaxRetries = 10
		_, err := ask[claimsReply](t.Context(), c, "prompt")
		if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if got := s.count("chat"); got != tt.calls {
			t.Errorf("%s: %d calls, want %d", tt.name, got, tt.calls)
		}
		for i, r := range s.log {
			isCut := i > 0 && strings.HasPrefix(tt.replies[min(i-1, len(tt.replies)-1)], cut)
			want := 3 // the correction of the answer before
			if i%4 == 0 || isCut {
				want = 1
			}
			if len(r.Messages) != want {
				t.Errorf("%s: call %d has %d messages, want %d", tt.name, i, len(r.Messages), want)
			}
		}
		if last := s.log[len(s.log)-1]; tt.name == "cut" && last.MaxTokens != 4*2048 {
			t.Errorf("%s: the last limit is %d tokens", tt.name, last.MaxTokens)
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
		{http.StatusForbidden, ErrRefused, 1},
		{http.StatusTemporaryRedirect, ErrRefused, 1},
		{http.StatusRequestTimeout, ErrUnavailable, 3},
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
	if g := suite.metrics[0]; g.rows != 0 {
		t.Errorf("a row that was broken off counts")
	}
}
