package chatserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/token"
)

// withTemplate is the quickstart's tokenizer with another chat template.
func withTemplate(t *testing.T, template string) *token.Tokenizer {
	t.Helper()
	dir := t.TempDir()
	if err := token.CopyFiles(baseFolder(), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestRefusals: what is wrong with a request is said, before anything is generated.
func TestRefusals(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{MaxBody: 64 << 10})
	for name, c := range map[string]struct {
		path, body  string
		status      int
		says, param string
	}{
		"wrong model":      {chat, strings.Replace(asking("hi", ""), `"base"`, `"gpt-4"`, 1), 404, `there is no model "gpt-4"; this server has another-name, base`, "model"},
		"bad JSON":         {chat, `{"model": `, 400, "the body is no JSON object: it ends in the middle", ""},
		"no object":        {chat, `[1]`, 400, "the body is no JSON object: it is of the type array", ""},
		"too large":        {chat, asking(strings.Repeat("x", 65<<10), ""), 413, "larger than 65536 bytes", ""},
		"too long":         {chat, asking(strings.Repeat("boat ", 1000), ""), 400, "a prompt and its answer may have 256 together", "messages"},
		"answer too long":  {chat, asking("hi", `"max_tokens": 256`), 400, ": max_tokens may be ", "messages"},
		"no temperature":   {chat, asking("hi", `"temperature": 1e999`), 400, "temperature", "temperature"},
		"small penalty":    {chat, asking("hi", `"repetition_penalty": 1e-300`), 400, "from 0.01 to 100", "repetition_penalty"},
		"large penalty":    {chat, asking("hi", `"repetition_penalty": 1e300`), 400, "from 0.01 to 100", "repetition_penalty"},
		"several faults":   {chat, `{"model": "base", "messages": 5, "n": 2, "temperature": -1}`, 400, "messages: want a list", "messages"},
		"foreign token":    {text, `{"model": "base", "prompt": [1, 99999]}`, 400, "token 2 is 99999; the model has the tokens 0 to 1433", "prompt"},
		"foreign stop":     {chat, asking("hi", `"stop_token_ids": [1, 1434]`), 400, "stop_token_ids: token 2 is 1434; the model has the tokens 0 to 1433", "stop_token_ids"},
		"token below zero": {text, `{"model": "base", "prompt": [-1]}`, 400, "token 1 is -1", "prompt"},
		"several prompts":  {text, `{"model": "base", "prompt": ["a", "b"]}`, 400, "has 2 prompts", "prompt"},
		"unknown path":     {"/v1/embeddings", `{}`, 404, "there is no /v1/embeddings", ""},
		"broken variable":  {chat, asking("hi", `"chat_template_kwargs": {"messages": []}`), 400, "cannot be set", "messages"},
	} {
		res, body := r.post(t, c.path, c.body)
		if res.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %s", name, body)
		}
		got := read(t, body)
		if e := got.Error; res.StatusCode != c.status || e == nil || !strings.Contains(e.Message, c.says) || e.Param != c.param || e.Type == "" {
			t.Errorf("%s: status %d, %s", name, res.StatusCode, body)
		}
		if rec := r.last(t); rec.Status != c.status || rec.Fault != got.Error.Message {
			t.Errorf("%s: the record is %+v", name, rec)
		}
	}
	chunked, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+chat, io.MultiReader(strings.NewReader(asking(strings.Repeat("x", 100<<10), ""))))
	if err != nil {
		t.Fatal(err)
	}
	chunked.Header.Set("Content-Type", "application/json")
	if res, body := r.do(t, chunked); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body without a size: %d %s", res.StatusCode, body)
	}
	plain, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+chat, strings.NewReader(asking("hi", "")))
	if err != nil {
		t.Fatal(err)
	}
	plain.Header.Set("Content-Type", "text/plain") // what a page of another site may send
	if res, body := r.do(t, plain); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a text: %d %s", res.StatusCode, body)
	}
	packed, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+chat, strings.NewReader(asking("hi", "")))
	if err != nil {
		t.Fatal(err)
	}
	packed.Header.Set("Content-Type", "application/json")
	packed.Header.Set("Content-Encoding", "gzip")
	if res, body := r.do(t, packed); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a packed body: %d %s", res.StatusCode, body)
	}
	if res, body := r.get(t, chat); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d %s", res.StatusCode, body)
	}
}

// TestSendsFirst: a client that reads nothing before it has sent all of a body that is too
// large gets its answer.
func TestSendsFirst(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{MaxBody: 1 << 20})
	const size = 12 << 20 // more than the buffers of a connection
	for name, head := range map[string]string{"with its size": fmt.Sprintf("Content-Length: %d\r\n\r\n", size), "in pieces": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size)} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(c, "POST "+chat+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+head)
		if err == nil {
			_, err = c.Write(bytes.Repeat([]byte{' '}, size))
		}
		if err == nil && name == "in pieces" {
			_, err = io.WriteString(c, "\r\n0\r\n\r\n")
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %v, %v", name, res, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWhoMayAsk: with a key a client has to send it; without one the name of another host
// leads nowhere.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	s := served(t, m, tok)
	closed, local := start(t, s, Options{Key: "S3CRET-key"}), start(t, s, Options{Local: true})
	ask := func(r *running, path, host, authorization string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = host; authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		res, body := r.do(t, req)
		if strings.Contains(body, "S3CRET") {
			t.Errorf("%s", body)
		}
		return res.StatusCode
	}
	for authorization, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer wrong": 401, "S3CRET-key": 401, "Basic S3CRET-key": 401, "Bearer S3CRET-ke": 401, "Bearer S3CRET-key": 200, "bearer S3CRET-key": 200,
	} {
		if got := ask(closed, "/v1/models", "anything.example", authorization); got != want {
			t.Errorf("Authorization %q: %d, want %d", authorization, got, want)
		}
	}
	if got := ask(closed, "/health", "x", ""); got != http.StatusOK {
		t.Errorf("health without a key: %d", got)
	}
	for host, want := range map[string]int{
		"localhost:8000": 200, "127.0.0.1": 200, "[::1]:8000": 200, "LOCALHOST": 200, "evil.example:8000": 403, "localhost.evil.example": 403, "": 200,
	} {
		if got := ask(local, "/v1/models", host, ""); got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
	}
}

// hold begins an endless answer, and returns when its first piece has come. drop ends it.
func (r *running) hold(t *testing.T) (drop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+chat, strings.NewReader(asking("go on", `"ignore_eos": true, "stream": true`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", res.Status, err)
	}
	drop = func() {
		cancel()
		_ = res.Body.Close() // it ends with the context
	}
	t.Cleanup(drop)
	return drop
}

// TestQueueFull: beyond the queue a request is told when to come back, and there is room
// again when another one ends. A client that goes away ends its row.
func TestQueueFull(t *testing.T) {
	t.Parallel()
	m, tok := endless(t)
	r := start(t, served(t, m, tok), Options{Parallel: 1, Queue: 1})
	first, second := r.hold(t), r.hold(t)
	res, body := r.post(t, chat, asking("hi", `"max_tokens": 1`))
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if e := read(t, body).Error; res.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 || seconds > 60 || e.Code != "queue_full" || e.Type != "rate_limit_error" {
		t.Errorf("%d %s, Retry-After %q", res.StatusCode, body, res.Header.Get("Retry-After"))
	}
	r.last(t)
	first()
	if rec := r.last(t); rec.Status != statusClientGone || rec.Tokens == 0 || rec.Finish != "" {
		t.Errorf("the client that went away: %+v", rec)
	}
	if load := r.model.Load(); load.Running != 1 {
		t.Errorf("%d rows are answered, and one client is there", load.Running)
	}
	if res, body := r.post(t, chat, asking("hi", `"max_tokens": 1`)); res.StatusCode != http.StatusOK {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	r.last(t)
	second()
	r.last(t)
}

// TestSlowClients: one that does not read its answer holds up nobody, and is left in the
// end; so is one that does not send its body.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	m, tok := endless(t)
	r := start(t, served(t, m, tok), Options{Queue: 4, patience: 2 * time.Second})
	dial := func(request string) net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		return c
	}
	header := func(length int) string {
		return "POST " + chat + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
	}
	body := asking("go on", `"ignore_eos": true, "stream": true, "logprobs": true, "top_logprobs": 20`)
	dial(header(len(body)) + body) // it is never read
	if res, body := r.post(t, chat, asking("hi", `"max_tokens": 1`)); res.StatusCode != http.StatusOK {
		t.Errorf("beside a slow client: %d %s", res.StatusCode, body)
	}
	r.last(t)
	if rec := r.last(t); rec.Status != statusClientGone || !strings.Contains(rec.Fault, "does not read its answer") {
		t.Errorf("a client that does not read: %+v", rec)
	}
	c := dial(header(100) + "{")
	answer, err := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("a client that does not send its body: %v\n%s", err, answer)
	}
}

// TestDrain: requests that are open when the server stops go on within the grace, and new
// ones are refused; beyond the grace they end without the mark of a whole answer.
func TestDrain(t *testing.T) {
	t.Parallel()
	m, tok := endless(t)
	draining := make(chan int, 1)
	r := start(t, served(t, m, tok), Options{Grace: time.Minute, OnDrain: func(open int) { draining <- open }})
	drop := r.hold(t)
	r.stop()
	if open := <-draining; open != 1 {
		t.Errorf("%d requests are open", open)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("the server has ended: %v", err)
	default:
	}
	drop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil

	r = start(t, served(t, m, tok), Options{Grace: time.Millisecond})
	r.hold(t)
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil
	if rec := r.last(t); rec.Status != http.StatusServiceUnavailable || !rec.Cut || rec.Finish != "" {
		t.Errorf("a request that outlives the grace: %+v", rec)
	}
}
