package modelserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// run works on a job of n rows at a server.
func run(t *testing.T, f *fakeVLLM, n int, change func(c *modelserver.Config, r *events.PhaseRequested)) (*bench, engine.Result, error) {
	t.Helper()
	b := newBench(t.TempDir())
	b.write(t, n)
	c, r := config(f.URL, filepath.Join(b.dir, "machine")), request(nil)
	if change != nil {
		change(&c, &r)
	}
	res, err := modelserver.New(c).Run(t.Context(), b.job(r))
	return b, res, err
}

// TestParameters: the keys of a run become the parameters of a call. Where nothing is
// drawn, those of the choice are not sent.
func TestParameters(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	_, res, err := run(t, f, 3, func(c *modelserver.Config, r *events.PhaseRequested) {
		c.Key = "sk-mine"
		i := &r.Specification.Inferencer
		i.Temperature, i.TopK, i.TopP, i.MinP, i.RepetitionPenalty, i.Seed, i.Stop = 0.5, 7, 0.9, 0.2, 1.2, 40, []string{"###"}
		i.SystemPromptOverrideText, i.ChatTemplateKwargs = "Be short.", `{"enable_thinking":false}`
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := f.of()
	slices.SortFunc(calls, func(a, b asked) int { return strings.Compare(a.question(), b.question()) })
	for i, a := range calls {
		want := map[string]string{
			"model": `"owner/base"`, "temperature": "0.5", "top_k": "7", "top_p": "0.9", "min_p": "0.2", "repetition_penalty": "1.2", "max_tokens": "32", "stop": `["###"]`,
			"seed": fmt.Sprint(40 + i), "chat_template_kwargs": `{"enable_thinking":false}`,
			"messages": fmt.Sprintf(`[{"role":"system","content":"Be short."},{"role":"user","content":"q%d"}]`, i),
		}
		for name, value := range want {
			if a.field(name) != value {
				t.Errorf("%s is %s, want %s", name, a.field(name), value)
			}
		}
		if len(a.fields) != len(want) || a.key != "Bearer sk-mine" {
			t.Errorf("sent %v with %q", a.fields, a.key)
		}
	}
	if len(calls) != 3 || res.TokensIn != 15 || res.TokensOut != 9 || res.Statistics["inference_rows"] != 3 {
		t.Errorf("%d calls, %+v", len(calls), res)
	}
	f = newFake(t)
	if _, _, err := run(t, f, 1, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"top_k", "top_p", "min_p", "repetition_penalty", "repeat_penalty", "seed", "stop", "tools", "chat_template_kwargs", "logprobs"} {
		if sent := f.of()[0].field(name); sent != "" {
			t.Errorf("%s = %s is sent", name, sent)
		}
	}
}

// TestNewerModels: what a server does not take is learned once, said in a note, and not
// sent again; max_completion_tokens takes the place of max_tokens.
func TestNewerModels(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var refused atomic.Int64
	f.before = func(w http.ResponseWriter, a asked, _ int) bool {
		for name, body := range map[string]string{
			"max_tokens":         `{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}}`,
			"temperature":        `{"error": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}`,
			"min_p":              `{"error": {"message": "Unrecognized request argument supplied: min_p", "type": "invalid_request_error", "param": null, "code": null}}`,
			"repetition_penalty": `{"error": {"message": "Unrecognized request argument supplied: repetition_penalty", "type": "invalid_request_error", "param": null, "code": null}}`,
		} {
			if a.field(name) != "" {
				refused.Add(1)
				refuse(w, http.StatusBadRequest, body)
				return true
			}
		}
		return false
	}
	b, res, err := run(t, f, 200, func(c *modelserver.Config, r *events.PhaseRequested) {
		c.Parallel = 4
		r.Specification.Inferencer.Temperature, r.Specification.Inferencer.MinP, r.Specification.Inferencer.RepetitionPenalty = 0.5, 0.1, 1.1
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"max_completion_tokens instead of max_tokens", "does not take the parameter temperature", "does not take the parameter min_p", "does not take the parameter repetition_penalty"} {
		if n := len(slices.DeleteFunc(slices.Clone(res.Notes), func(note string) bool { return !strings.Contains(note, want) })); n != 1 {
			t.Errorf("%d notes say %q: %q", n, want, res.Notes)
		}
	}
	if n := refused.Load(); n > 4*4 {
		t.Errorf("%d calls were refused", n)
	}
	if got := b.answers(t, prediction.FileName); len(got) != 200 {
		t.Errorf("%d answers", len(got))
	}
	last := f.of()[len(f.of())-1]
	if last.field("max_completion_tokens") != "32" || last.field("max_tokens") != "" {
		t.Errorf("sent %v", last.fields)
	}
}

// TestFaults: what is wrong with a server is a sentence that names it without its secrets, says
// what to do, and has the class that holds.
func TestFaults(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, body) }
	}
	const models, chat = "GET /v1/models", "POST /v1/chat/completions"
	for name, c := range map[string]struct {
		at        string
		handle    http.HandlerFunc
		code      string
		permanent bool
		says      string
	}{
		"no key":          {models, answer(401, `{"error": {"message": "Incorrect API key provided: sk-secret"}}`), "unauthorized", true, "credentials.keys"},
		"forbidden":       {chat, answer(403, `{"error": "your network may not"}`), "unauthorized", true, "403 Forbidden: your network may not; what to do: if it wants a key"},
		"forbidden, mute": {chat, answer(403, ``), "unauthorized", true, "403 Forbidden: it wants a key, and there is none for its origin"},
		"other model":     {models, answer(200, `{"data": [{"id": "other/model"}]}`), "no_model", true, `it has "other/model"`},
		"no such path":    {chat, answer(404, `{"detail": "Not Found"}`), "no_model", true, "mostly ends in /v1"},
		"a web page":      {models, answer(200, `<!DOCTYPE html><html>Welcome</html>`), "bad_server", true, "a web page"},
		"other JSON":      {models, answer(200, `{"hello": 1}`), "bad_server", true, "other JSON"},
		"wrong type":      {models, answer(200, `{"data": 7}`), "bad_server", true, "other JSON"},
		"redirects":       {models, http.RedirectHandler("http://elsewhere.invalid/v1/models?key=sk-secret", http.StatusMovedPermanently).ServeHTTP, "redirects", true, "services.inference.endpoint"},
		"no quota":        {chat, answer(429, `{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}`), "quota_used_up", true, "quota"},
		"not allowed":     {chat, answer(405, ``), "bad_server", true, "405 Method Not Allowed"},
		"unknown words":   {chat, answer(400, `{"error": {"message": "Unsupported parameter: 'service_tier'", "code": "unsupported_parameter"}}`), "unsupported_parameter", true, "service_tier"},
		"every row":       {chat, answer(400, `{"error": {"message": "prompt is too long"}}`), "rows_refused", true, "prompt is too long"},
		"always broken":   {chat, answer(500, `oops`), "server_unavailable", false, "500 Internal Server Error"},
		"always garbage":  {chat, answer(200, `{"choices": [{"index": 0}]}`), "bad_server", true, "has no message"},
		"answers nothing": {chat, answer(200, ``), "bad_server", true, "answers with nothing"},
		"page of answers": {chat, answer(200, `<html>log in</html>`), "bad_server", true, "a web page"},
		"no choices":      {chat, answer(200, `{"hello": 1}`), "bad_server", true, "no choices"},
		"half JSON":       {chat, answer(200, `{"choices": [{"mess`), "bad_server", true, "something else than JSON"},
		"events":          {chat, answer(200, "data: {}\n\ndata: [DONE]\n\n"), "bad_server", true, "something else than JSON"},
		"error within":    {chat, answer(200, `{"error": {"message": "overloaded", "code": 503}}`), "server_unavailable", false, "overloaded"},
		"another model":   {chat, answer(200, `{"model": "other/model", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}`), "wrong_model", true, `"other/model" answered`},
		"given up":        {chat, answer(200, `{"choices": [{"message": {"content": "ye"}, "finish_reason": "error"}]}`), "rows_refused", false, `finish_reason is "error"`},
		"no end":          {chat, answer(200, `{"choices": [{"message": {"content": "ye"}, "finish_reason": null}]}`), "rows_refused", false, "no finish_reason"},
		"no content":      {chat, answer(200, `{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}`), "rows_refused", false, "no content"},
		"no UTF-8":        {chat, answer(200, "{\"choices\": [{\"message\": {\"content\": \"caf\xe9\"}, \"finish_reason\": \"stop\"}]}"), "rows_refused", false, "not valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.routes[c.at] = c.handle
			_, _, err := run(t, f, 30, nil)
			failed, ok := errors.AsType[*engine.JobError](err)
			if !ok || failed.Code != c.code || failed.Permanent != c.permanent || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %#v: %v", failed, err)
			}
			if !strings.Contains(err.Error(), strings.TrimPrefix(f.URL, "http://")) {
				t.Errorf("the server is not named: %v", err)
			}
		})
	}
}

// TestForbidden: of a 403 the server's reason is said, without the key, and a model that the key
// may not use is no wrong key.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for body, c := range map[string]struct{ code, says string }{
		`{"error": {"message": "Project proj_abc does not have access to model 'owner/base'", "type": "invalid_request_error", "code": "model_not_found"}}`: {
			"no_model", "403 Forbidden: Project proj_abc does not have access to model 'owner/base'; what to do: check the name of the model, and that the account or the project of the key may use it",
		},
		`{"error": "sk-verysecret may not do this"}`: {"unauthorized", "403 Forbidden: [hidden] may not do this; what to do: have the key allowed to do this"},
		``: {"unauthorized", "403 Forbidden: it does not accept the key; what to do: check the variable that credentials.keys names for its origin"},
	} {
		f := newFake(t)
		f.routes["POST /v1/chat/completions"] = func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, body) }
		_, _, err := run(t, f, 3, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Key = "sk-verysecret" })
		failed, ok := errors.AsType[*engine.JobError](err)
		if !ok || failed.Code != c.code || !failed.Permanent || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("got %#v: %v, want %s: %s", failed, err, c.code, c.says)
		}
	}
}

// TestHostileBodies: a body that is huge, has no end, or is nested very deep takes
// neither the memory nor the time of the worker.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter){
		"no end": func(w http.ResponseWriter) {
			for {
				if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
					return
				}
			}
		},
		"a huge text": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"choices": [{"message": {"content": "`)) // the client may have gone
			for range 1 << 10 {
				if _, err := w.Write([]byte(strings.Repeat("x", 64<<10))); err != nil {
					return
				}
			}
		},
		"deep":        func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat("[", 1<<20))) },
		"odd choices": func(w http.ResponseWriter) { say(w, `{"choices": {"message": []}, "usage": "many"}`) },
		"null":        func(w http.ResponseWriter) { say(w, `null`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.before = func(w http.ResponseWriter, a asked, try int) bool {
				if a.question() == "q1" && try == 1 {
					write(w)
					return true
				}
				return false
			}
			b, _, err := run(t, f, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.answers(t, prediction.FileName); got[1].Answer != "base says q1" {
				t.Errorf("answered %+v", got[1])
			}
		})
	}
}

// TestHangingServer: a call that gets no answer is made again when its time is over.
func TestHangingServer(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	over := make(chan struct{})
	t.Cleanup(func() { close(over) }) // before the server is closed
	f.before = func(_ http.ResponseWriter, a asked, try int) bool {
		if a.question() != "q1" || try > 1 {
			return false
		}
		<-over
		return true
	}
	b, res, err := run(t, f, 3, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Timeout = short })
	if err != nil || res.Statistics["inference_retries"] < 1 {
		t.Fatalf("%+v, %v", res.Statistics, err)
	}
	if got := b.answers(t, prediction.FileName); got[1].Answer != "base says q1" {
		t.Errorf("answered %+v", got[1])
	}
}

// TestRefusedRows: a question that the server refuses has no answer and the reason; the
// others have theirs, and the run says how many have none.
func TestRefusedRows(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.before = func(w http.ResponseWriter, a asked, _ int) bool {
		if a.question() == "q7" {
			refuse(w, http.StatusBadRequest, `{"error": {"message": "This model's maximum context length is 4096 tokens.", "code": "context_length_exceeded"}}`)
			return true
		}
		return false
	}
	b, res, err := run(t, f, 30, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := b.answers(t, prediction.FileName)
	if !got[7].NoAnswer || !strings.Contains(got[7].Error, "maximum context length") || got[8].NoAnswer {
		t.Errorf("answered %+v", got[7])
	}
	if !slices.ContainsFunc(res.Notes, func(n string) bool { return strings.Contains(n, "1 of 30 questions have no answer") }) {
		t.Errorf("notes %q", res.Notes)
	}
	if f.tries["q7"] != 1 {
		t.Errorf("it was asked %d times", f.tries["q7"])
	}
}

// TestFailedAnswers: an answer that the server did not finish is asked for again. One that
// is never whole is a row without an answer, and none that is scored.
func TestFailedAnswers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.before = func(w http.ResponseWriter, a asked, try int) bool {
		if a.question() == "q3" && try == 1 || a.question() == "q7" {
			say(w, `{"choices": [{"message": {"content": "fragm"}, "finish_reason": "abort"}]}`)
			return true
		}
		return false
	}
	b, res, err := run(t, f, 30, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := b.answers(t, prediction.FileName)
	if got[3].Answer != "base says q3" || !got[7].NoAnswer || got[7].Answer != "" || !strings.Contains(got[7].Error, `finish_reason is "abort"`) || f.tries["q7"] != 4 {
		t.Errorf("answered %+v and %+v, after %d tries", got[3], got[7], f.tries["q7"])
	}
	if !slices.ContainsFunc(res.Notes, func(n string) bool { return strings.Contains(n, "1 of 30 questions have no answer") }) {
		t.Errorf("notes %q", res.Notes)
	}
}

// TestAnotherModelLater: answers of another model are not kept, and end the job whenever
// they come.
func TestAnotherModelLater(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.before = func(w http.ResponseWriter, a asked, _ int) bool {
		if a.question() == "q9" {
			say(w, `{"model": "other/model", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}`)
			return true
		}
		return false
	}
	_, _, err := run(t, f, 30, nil)
	if failed, ok := errors.AsType[*engine.JobError](err); !ok || failed.Code != "wrong_model" || !failed.Permanent {
		t.Errorf("got %v", err)
	}
}

// TestRepeatedKey: a server that repeats the key gets it into no error and no row.
func TestRepeatedKey(t *testing.T) {
	t.Parallel()
	const key = "sk-thisIsSecret99"
	for name, say := range map[string]func(w http.ResponseWriter){
		"400":    func(w http.ResponseWriter) { refuse(w, 400, `{"error": {"message": "bad header Bearer `+key+`"}}`) },
		"404":    func(w http.ResponseWriter) { refuse(w, 404, `{"error": {"message": "no model for `+key+`"}}`) },
		"within": func(w http.ResponseWriter) { refuse(w, 200, `{"error": {"message": "no `+key+`", "code": 400}}`) },
		"model": func(w http.ResponseWriter) {
			refuse(w, 200, `{"model": "`+key+`", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}`)
		},
		"reason": func(w http.ResponseWriter) {
			refuse(w, 200, `{"choices": [{"message": {"content": null}, "finish_reason": "`+key+`"}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.before = func(w http.ResponseWriter, _ asked, _ int) bool {
				say(w)
				return true
			}
			b, res, err := run(t, f, 3, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Key = key })
			all := fmt.Sprintf("%v %q %q", err, res.Notes, b.warnings)
			if err == nil || strings.Contains(all, "thisIs") || !strings.Contains(all, "[hidden]") {
				t.Errorf("%s", all)
			}
		})
	}
}

// TestKeyInAnswers: a key that an answer repeats is in no row, also of an attempt that
// goes on with the answers of another one, and a warning says which answers are changed.
func TestKeyInAnswers(t *testing.T) {
	t.Parallel()
	const key, other = "sk-thisIsSecret99", "hf_mySecretToken77"
	f := newFake(t)
	f.before = func(w http.ResponseWriter, a asked, _ int) bool {
		if !strings.Contains(a.question(), "1") {
			return false
		}
		say(w, `{"choices": [{"message": {"content": "my key is Bearer `+key+` or postgres://me:hush@host", "reasoning": "`+other+`"}, "finish_reason": "stop"}]}`)
		return true
	}
	b := newBench(t.TempDir())
	b.write(t, 3)
	c := config(f.URL, filepath.Join(b.dir, "machine"))
	c.Key, c.Environ = key, []string{"HF_TOKEN=" + other}
	ctx, cancel := context.WithCancelCause(t.Context())
	b.onStep = func(step int64) {
		if step == 2 {
			cancel(engine.ErrShutdown)
		}
	}
	if _, err := modelserver.New(c).Run(ctx, b.job(request(nil))); !errors.Is(err, engine.ErrShutdown) {
		t.Fatal(err)
	}
	b.onStep = nil
	if _, err := modelserver.New(c).Run(t.Context(), b.job(request(nil))); err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, p := range b.answers(t, prediction.FileName) {
		all := p.Answer + p.Reasoning
		if strings.Contains(all, "Secret") {
			t.Errorf("%q", all)
		}
		if strings.Contains(all, "[hidden]") {
			said++
			if want := "my key is Bearer [hidden] or postgres://me:hush@host[hidden]"; all != want {
				t.Errorf("%q, want %q", all, want)
			}
		}
	}
	warnings := strings.Join(b.warnings, "\n")
	if want := fmt.Sprintf("%d of 3 answers repeat a secret of this worker", said); said == 0 || !strings.Contains(warnings, want) {
		t.Errorf("%d rows, and the warnings %q", said, warnings)
	}
}

// TestStopped: a job that is stopped keeps the answers that it has, here and as a
// checkpoint, and the next attempt asks the rest, on this machine and on another one.
func TestStopped(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]bool{"this machine": false, "another one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			b := newBench(t.TempDir())
			b.write(t, 200)
			ctx, cancel := context.WithCancelCause(t.Context())
			b.onStep = func(step int64) {
				if step == 50 {
					cancel(engine.ErrShutdown)
				}
			}
			c := config(f.URL, filepath.Join(b.dir, "machine"))
			if _, err := modelserver.New(c).Run(ctx, b.job(request(nil))); !errors.Is(err, engine.ErrShutdown) {
				t.Fatal(err)
			}
			if other {
				c.Folder = filepath.Join(b.dir, "other")
			}
			b.onStep = nil
			if _, err := modelserver.New(c).Run(t.Context(), b.job(request(nil))); err != nil {
				t.Fatal(err)
			}
			if got := b.answers(t, prediction.FileName); len(got) != 200 {
				t.Errorf("%d answers", len(got))
			}
			again := 0
			for _, n := range f.answered {
				again += n - 1
			}
			if again > 64 { // those that were under way
				t.Errorf("%d calls were made again", again)
			}
			// A job with another temperature has other answers.
			calls := len(f.of())
			if _, err := modelserver.New(c).Run(t.Context(), b.job(request(func(s *events.Specification) { s.Inferencer.Temperature = 1 }))); err != nil {
				t.Fatal(err)
			}
			if n := len(f.of()) - calls; n != 200 {
				t.Errorf("%d calls of the other job", n)
			}
		})
	}
}

// TestRates: whoever watches sees rows and tokens a second, and how often calls were made
// again.
func TestRates(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.before = func(w http.ResponseWriter, _ asked, try int) bool {
		if try == 1 {
			refuse(w, http.StatusServiceUnavailable, ``)
		}
		return try == 1
	}
	b, res, err := run(t, f, 20, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b.points["rows_per_second"] <= 0 || b.points["tokens_per_second"] <= 0 || b.points["retries"] != 20 || res.Statistics["inference_retries"] != 20 {
		t.Errorf("points %v, statistics %v", b.points, res.Statistics)
	}
}

// TestOtherServers: what a server is decides what is said and sent.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { say(w, body) }
	}
	for name, c := range map[string]struct {
		routes map[string]http.HandlerFunc
		note   string // with the base model
		refuse string // of an adapter
		lora   string
		repeat string // the penalty under the server's own name
		model  string // as its answers say it
	}{
		"llama.cpp": {map[string]http.HandlerFunc{
			"GET /version": http.NotFound, "GET /props": text(`{"default_generation_settings": {}, "build_info": "b9999"}`),
			"GET /lora-adapters": text(`[{"id": 0, "path": "a.gguf", "scale": 1.0}]`), "GET /v1/models": text(`{"data": [{"id": "model.gguf"}]}`),
		}, `"model.gguf"`, "GGUF", `[{"id":0,"scale":0}]`, "1.3", "m"},
		"Ollama": {map[string]http.HandlerFunc{
			"GET /version": http.NotFound, "GET /api/version": text(`{"version": "0.20.0"}`), "GET /v1/models": text(`{"data": [{"id": "owner/base:latest"}]}`),
		}, "inferencer.repetition_penalty", "ollama create", "", "", "owner/base"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.routes = c.routes
			f.before = func(w http.ResponseWriter, _ asked, _ int) bool {
				say(w, `{"model": "`+c.model+`", "choices": [{"message": {"content": "yes"}, "finish_reason": "length"}]}`)
				return true
			}
			b, res, err := run(t, f, 2, func(_ *modelserver.Config, r *events.PhaseRequested) {
				r.Specification.Inferencer.RepetitionPenalty = 1.3
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.of()[0].field("repeat_penalty"); got != c.repeat {
				t.Errorf("repeat_penalty is %s", got)
			}
			if !slices.ContainsFunc(res.Notes, func(n string) bool { return strings.Contains(n, c.note) }) {
				t.Errorf("notes %q", res.Notes)
			}
			if !slices.ContainsFunc(b.warnings, func(n string) bool { return strings.Contains(n, "2 of 2 answers are cut") }) {
				t.Errorf("warnings %q", b.warnings)
			}
			if got := f.of()[0].field("lora"); got != c.lora {
				t.Errorf("lora is %s", got)
			}
			_, _, err = run(t, f, 2, func(_ *modelserver.Config, r *events.PhaseRequested) {
				r.Inputs.Model = newBench(t.TempDir()).adapter(t, 8)
			})
			if failed, ok := errors.AsType[*engine.JobError](err); !ok || failed.Code != "adapter_refused" || !failed.Permanent || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestServerComesUp: a server that is not there yet is waited for.
func TestServerComesUp(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var looks atomic.Int64
	f.routes["GET /v1/models"] = func(w http.ResponseWriter, r *http.Request) {
		if looks.Add(1) < 5 {
			refuse(w, http.StatusServiceUnavailable, `{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}`)
			return
		}
		f.models(w, r)
	}
	if _, _, err := run(t, f, 2, func(c *modelserver.Config, _ *events.PhaseRequested) { c.Backoff.Longest = time.Millisecond }); err != nil {
		t.Fatal(err)
	}
}
