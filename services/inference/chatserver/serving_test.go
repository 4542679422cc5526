package chatserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// baseFolder is the quickstart's base model.
func baseFolder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "configs", "quickstart", "base-model")
}

// base opens the quickstart's base model.
func base(t testing.TB) (*llm.Model, *token.Tokenizer) {
	t.Helper()
	m, err := llm.Open(baseFolder())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(baseFolder())
	if err != nil {
		t.Fatal(err)
	}
	return m, tok
}

// endless is a model of the same size that has room for very long answers.
func endless(t testing.TB) (*llm.Model, *token.Tokenizer) {
	t.Helper()
	m, tok := base(t)
	cfg := m.Config()
	cfg.MaxPositions = 1 << 20
	m, err := llm.New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m, tok
}

// served makes a model "base" for a server.
func served(t testing.TB, m *llm.Model, tok *token.Tokenizer) *servedmodel.Model {
	t.Helper()
	length := m.Config().Positions()
	out := servedmodel.New(servedmodel.Options{
		Names: []string{"base", "another-name"}, Root: "quickstart", Weights: m, Tokenizer: tok, MaxLength: length, Parallel: 16, CacheTokens: 16 * length,
	})
	t.Cleanup(out.Close)
	return out
}

// running is a server of a test.
type running struct {
	url    string
	model  *servedmodel.Model
	stop   context.CancelFunc
	ended  chan error
	client *http.Client

	mu      sync.Mutex
	records []Record
	log     bytes.Buffer
	news    chan struct{} // a value for each record
}

// start starts a server of one model. It ends with the test.
func start(t testing.TB, m *servedmodel.Model, o Options) *running {
	t.Helper()
	r := &running{model: m, ended: make(chan error, 1), news: make(chan struct{}, 100_000), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	o.Models = []*servedmodel.Model{m}
	o.Log = slog.New(slog.NewTextHandler(lockedWriter{r}, nil))
	o.OnRequest = func(rec Record) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.records = append(r.records, rec)
		r.news <- struct{}{}
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	s := New(o)
	go func() { r.ended <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		r.ended <- nil
	})
	return r
}

type lockedWriter struct{ r *running }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.log.Write(p)
}

// last waits for the next record, and returns it.
func (r *running) last(t testing.TB) Record {
	t.Helper()
	select {
	case <-r.news:
	case <-time.After(time.Minute):
		t.Fatal("no request ended")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[len(r.records)-1]
}

// post sends a body, and returns the response with its body.
func (r *running) post(t testing.TB, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return r.do(t, req)
}

func (r *running) do(t testing.TB, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v behind %q", err, text)
	}
	return res, string(text)
}

func (r *running) get(t testing.TB, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.do(t, req)
}

const (
	chat = "/v1/chat/completions"
	text = "/v1/completions"
)

// asking is the body of a chat, with further parameters.
func asking(question, more string) string {
	body, err := json.Marshal([]map[string]string{{"role": "user", "content": question}})
	if err != nil {
		panic(err)
	}
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"model": "base", "messages": %s%s}`, body, more)
}

// whole is a response as a test reads it.
type whole struct {
	ID, Object, Model string
	Choices           []struct {
		Message struct{ Role, Content string }
		Delta   struct {
			Role    string
			Content *string
		}
		Text     string
		Logprobs *struct {
			Content []struct {
				Token   string
				Logprob float64
				Bytes   []int
				Top     []struct {
					Token   string
					Logprob float64
				} `json:"top_logprobs"`
			}
			Tokens     []string
			TextOffset []int `json:"text_offset"`
		}
		FinishReason *string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
	Error *struct {
		Message, Type, Code, Param string
	}
}

func read(t testing.TB, body string) (w whole) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return w
}

// events reads a stream, which has to end with its mark.
func events(t testing.TB, body string) (all []whole) {
	t.Helper()
	blocks := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	for i, b := range blocks {
		data, ok := strings.CutPrefix(b, "data: ")
		switch {
		case !ok:
			t.Fatalf("%q is no event", b)
		case i == len(blocks)-1:
			if data != "[DONE]" {
				t.Fatalf("the last event is %q", data)
			}
			return all
		}
		all = append(all, read(t, data))
	}
	return all
}
