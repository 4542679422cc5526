package judge

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// server implements the part of OpenAI's API that a judge uses.
type server struct {
	// chat answers the last message; a text that begins with cut is one that
	// ended at the limit of tokens.
	chat    func(prompt string, n int) []string
	vectors map[string][]float64
	vector  []float64          // of all other texts
	refuse  func(call int) int // status, 0 to answer
	// remembers is a judge that answers the first message, whatever follows.
	remembers bool
	// retryAfter is the delay, in milliseconds, that a refusal asks for; empty: 1.
	retryAfter string
	// fault answers a call instead, if it returns true.
	fault func(call int, w http.ResponseWriter) bool
	// finish is the finish_reason of every answer; empty: stop.
	finish string
	// more and moreEmbedded are further fields of the bodies, or others.
	more, moreEmbedded map[string]any
	// away is the error of the network, before the server is reached; nil: none.
	away func() error

	mu    sync.Mutex
	calls []string // "chat" or "embed", by request
	auth  []string
	log   []request
}

type request struct {
	Model       string
	Temperature float64
	N           int
	MaxTokens   int64 `json:"max_tokens"`
	Messages    []struct{ Role, Content string }
	Input       []string
}

const cut = "<cut>"

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req request
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kind := map[string]string{"/v1/chat/completions": "chat", "/v1/embeddings": "embed"}[r.URL.Path]
	s.mu.Lock()
	s.calls = append(s.calls, kind)
	s.auth = append(s.auth, r.Header.Get("Authorization"))
	s.log = append(s.log, req)
	call := len(s.calls)
	s.mu.Unlock()
	if s.fault != nil && s.fault(call, w) {
		return
	}
	if s.refuse != nil {
		if status := s.refuse(call); status != 0 {
			w.Header().Set("Retry-After-Ms", cmp.Or(s.retryAfter, "1"))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error": {"message": "no, sk-secret", "type": "t", "code": "c"}}`))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	var body map[string]any
	switch kind {
	case "chat":
		prompt := req.Messages[len(req.Messages)-1].Content
		if s.remembers {
			prompt = req.Messages[0].Content
		}
		var choices []map[string]any
		for i, text := range s.chat(prompt, max(req.N, 1)) {
			text, isCut := strings.CutPrefix(text, cut)
			finish := "stop"
			if isCut {
				finish = "length"
			}
			if s.finish != "" {
				finish = s.finish
			}
			choices = append(choices, map[string]any{"index": i, "finish_reason": finish, "message": map[string]any{"role": "assistant", "content": text}})
		}
		body = map[string]any{"choices": choices, "usage": map[string]any{"prompt_tokens": 100, "completion_tokens": 10}}
		maps.Copy(body, s.more)
	case "embed":
		var data []map[string]any
		for i, text := range slices.Backward(req.Input) { // the index counts, not the order
			vector, ok := s.vectors[text]
			if !ok {
				vector = s.vector
			}
			numbers := make([]any, len(vector))
			for i, x := range vector {
				if !math.IsNaN(x) { // which JSON has as null
					numbers[i] = x
				}
			}
			data = append(data, map[string]any{"index": i, "embedding": numbers})
		}
		body = map[string]any{"data": data, "usage": map[string]any{"prompt_tokens": 5}}
		maps.Copy(body, s.moreEmbedded)
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

func (s *server) count(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, call := range s.calls {
		if call == kind {
			n++
		}
	}
	return n
}

// RoundTrip calls the server without a network, so that it can be used where the
// clock is not the real one.
func (s *server) RoundTrip(req *http.Request) (res *http.Response, err error) {
	if s.away != nil {
		err := s.away()
		if slow := req.Context().Err(); slow != nil {
			return nil, slow
		}
		if err != nil {
			return nil, err
		}
	}
	defer func() {
		if cause := recover(); cause != nil { // the handler broke the connection
			res, err = nil, io.ErrUnexpectedEOF
		}
	}()
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return answer.Result(), nil
}

// patient is a client with the limits of production, which calls the server
// without a network.
func (s *server) patient(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(Config{BaseURL: "http://judge:8000/v1", LLM: "judge", Embedding: "embedder", HTTP: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) client(t *testing.T) *Client {
	t.Helper()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	return clientOf(t, listening.URL+"/v1")
}

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	c, err := NewClient(Config{
		BaseURL: address, APIKey: "sk-secret-of-mine", LLM: "judge", Embedding: "embedder",
		MaxRetries: 2, MaxDelay: 5 * time.Millisecond, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) metric(t *testing.T, name string, opts Options) Metric {
	t.Helper()
	m, err := New(name, s.client(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// row has texts that the server tells apart.
func row() metric.Row {
	return metric.Row{Question: "the-question", Answer: "the-answer", GroundTruth: "the-truth"}
}

// inTurn answers one text after the other, and then the last one again.
func inTurn(texts ...string) func(string, int) []string {
	var mu sync.Mutex
	next := 0
	return func(string, int) []string {
		mu.Lock()
		defer mu.Unlock()
		text := texts[min(next, len(texts)-1)]
		next++
		return []string{text}
	}
}
