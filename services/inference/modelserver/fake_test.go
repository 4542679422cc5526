package modelserver_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked is a call to the fake server.
type asked struct {
	Model    string
	Messages []struct {
		Role    string
		Content json.RawMessage
	}
	Logprobs any
	fields   map[string]json.RawMessage
	key      string
}

// question is the text of the last message, or its parts as JSON.
func (a asked) question() (text string) {
	content := a.Messages[len(a.Messages)-1].Content
	if json.Unmarshal(content, &text) != nil {
		return string(content)
	}
	return text
}

// fakeVLLM speaks as vLLM does: the addresses, the statuses and the plain texts of its API for
// adapters are those of TRAINERS' recordings.
type fakeVLLM struct {
	*httptest.Server

	// before may answer a call itself, and says so. try counts the calls for a question.
	before func(w http.ResponseWriter, a asked, try int) bool
	// ignore has every adapter answer as the base model does; noProbs leaves log
	// probabilities out, and drift changes those of the base model from call to call.
	ignore, noProbs bool
	drift           float64
	maxRank         int
	routes          map[string]http.HandlerFunc // in place of its own

	mu       sync.Mutex
	calls    []asked
	tries    map[string]int
	answered map[string]int
	loaded   map[string]string // paths of adapters by their names
	unloaded []string
	open     int
	peak     int
	samples  int
}

func newFake(t testing.TB) *fakeVLLM {
	t.Helper()
	f := &fakeVLLM{tries: map[string]int{}, answered: map[string]int{}, loaded: map[string]string{}, maxRank: 16, routes: map[string]http.HandlerFunc{}}
	own := map[string]http.HandlerFunc{
		"GET /version":                 func(w http.ResponseWriter, _ *http.Request) { say(w, `{"version": "0.19.1"}`) },
		"GET /v1/models":               f.models,
		"POST /v1/chat/completions":    f.complete,
		"POST /v1/load_lora_adapter":   f.load,
		"POST /v1/unload_lora_adapter": f.unload,
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Method + " " + r.URL.Path
		if h := f.routes[at]; h != nil {
			h(w, r)
		} else if h := own[at]; h != nil {
			h(w, r)
		} else {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func say(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body)) // the client may have gone
}

func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // as above
}

func (f *fakeVLLM) models(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := `{"object": "list", "data": [{"id": "owner/base", "object": "model", "root": "/models/base", "parent": null}`
	for name, path := range f.loaded {
		list += fmt.Sprintf(`, {"id": %q, "object": "model", "root": %q, "parent": "owner/base"}`, name, path)
	}
	say(w, list+"]}")
}

func (f *fakeVLLM) load(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name string `json:"lora_name"`
		Path string `json:"lora_path"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var config struct{ R int }
	content, err := os.ReadFile(filepath.Join(body.Path, "adapter_config.json"))
	if err == nil {
		err = json.Unmarshal(content, &config)
	}
	switch {
	case f.loaded[body.Name] != "":
		refuse(w, http.StatusBadRequest, fmt.Sprintf(`{"error": {"message": "The lora adapter '%s' has already been loaded.", "type": "InvalidUserInput", "code": 400}}`, body.Name))
	case err != nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf(`{"error": {"message": "Loading lora %s failed: No adapter found for %s", "type": "NotFoundError", "code": 404}}`, body.Name, body.Path))
	case config.R > f.maxRank:
		refuse(w, http.StatusBadRequest, fmt.Sprintf(`{"error": {"message": "LoRA rank %d is greater than max_lora_rank %d.", "type": "BadRequestError", "code": 400}}`, config.R, f.maxRank))
	default:
		f.loaded[body.Name] = body.Path
		_, _ = fmt.Fprintf(w, "Success: LoRA adapter '%s' added successfully.", body.Name)
	}
}

func (f *fakeVLLM) unload(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name string `json:"lora_name"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded[body.Name] == "" {
		refuse(w, http.StatusNotFound, fmt.Sprintf(`{"error": {"message": "The lora adapter '%s' cannot be found.", "type": "NotFoundError", "code": 404}}`, body.Name))
		return
	}
	delete(f.loaded, body.Name)
	f.unloaded = append(f.unloaded, body.Name)
	_, _ = fmt.Fprintf(w, "Success: LoRA adapter '%s' removed successfully.", body.Name)
}

func (f *fakeVLLM) complete(w http.ResponseWriter, r *http.Request) {
	var a asked
	if err := json.NewDecoder(r.Body).Decode(&a.fields); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	whole, _ := json.Marshal(a.fields)
	if err := json.Unmarshal(whole, &a); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	a.key = r.Header.Get("Authorization")
	q := a.question()
	f.mu.Lock()
	f.calls = append(f.calls, a)
	f.tries[q]++
	f.samples++
	f.open++
	f.peak = max(f.peak, f.open)
	try, sample := f.tries[q], f.samples
	known := a.Model == "owner/base" || f.loaded[a.Model] != ""
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open--
	}()
	if f.before != nil && f.before(w, a, try) {
		return
	}
	if !known {
		refuse(w, http.StatusNotFound, fmt.Sprintf(`{"error": {"message": "The model '%s' does not exist.", "type": "NotFoundError", "param": "model", "code": 404}}`, a.Model))
		return
	}
	tuned := a.Model != "owner/base" && !f.ignore
	answer, probs := "base says "+q, ""
	if tuned {
		answer = "tuned says " + q
	}
	if a.Logprobs != nil && !f.noProbs {
		list := []string{}
		for i := range 16 {
			p := -math.Abs(math.Sin(float64(hash(q)) + float64(i)))
			if tuned {
				p -= 0.25
			}
			p -= f.drift * float64(sample)
			list = append(list, fmt.Sprintf(`{"token": "t%d", "logprob": %v, "bytes": null, "top_logprobs": []}`, i, p))
		}
		probs = `, "logprobs": {"content": [` + strings.Join(list, ",") + `]}`
	}
	text, _ := json.Marshal(answer)
	content := fmt.Sprintf(`"message": {"role": "assistant", "content": %s, "tool_calls": []}`, text)
	model, _ := json.Marshal(a.Model)
	say(w, fmt.Sprintf(`{"id": "c", "object": "chat.completion", "model": %s, "choices": [{"index": 0, %s%s, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "total_tokens": 8, "completion_tokens": 3}}`,
		model, content, probs))
	if a.Logprobs == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answered[q]++
	}
}

func hash(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // it never fails
	return h.Sum32()
}

// tenFaults has about three of ten calls fail, each in one of ten ways.
func tenFaults(w http.ResponseWriter, a asked, try int) bool {
	h := hash(fmt.Sprint(a.question(), try))
	if try > 5 || h%10 >= 3 {
		return false
	}
	faults := []func(){
		func() { refuse(w, http.StatusRequestTimeout, `{}`) },
		func() { refuse(w, http.StatusConflict, `{"detail": "conflict"}`) },
		func() { refuse(w, http.StatusTooEarly, ``) },
		func() {
			w.Header().Set("Retry-After-Ms", "2")
			refuse(w, http.StatusTooManyRequests, `{"error": {"message": "slow down"}}`)
		},
		func() { http.Error(w, "internal error", http.StatusInternalServerError) },
		func() { refuse(w, http.StatusBadGateway, `<html><body>Bad Gateway</body></html>`) },
		func() { // it breaks the connection
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = c.Close()
			}
		},
		func() { // the response is cut
			w.Header().Set("Content-Length", "1000")
			say(w, `{"choices": [{"message": {"con`)
		},
		func() { say(w, `<!DOCTYPE html><html><body>Please log in</body></html>`) },
		func() { say(w, `{"object": "chat.completion", "choices": []}`) },
	}
	faults[(h/10)%uint32(len(faults))]()
	return true
}

// field is a parameter of a call; empty if it was not sent.
func (a asked) field(name string) string { return string(a.fields[name]) }

// of returns the calls that are no part of a proof.
func (f *fakeVLLM) of() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(a asked) bool { return a.Logprobs != nil })
}

// short is a limit for tests in which the server hangs.
const short = 300 * time.Millisecond
