package chatserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
)

// generated is what the engine answers without a server.
func generated(t testing.TB, m *llm.Model, tok *token.Tokenizer, question string, most int) string {
	t.Helper()
	prompt, err := tok.Render([]token.Message{{Role: "user", Content: question}}, true)
	if err != nil {
		t.Fatal(err)
	}
	answer := ""
	err = m.Generate(context.Background(), [][]int32{tok.Encode(prompt)}, llm.GenerateConfig{MaxNewTokens: most, EOS: tok.EOS()}, func(_ int, ids []int32) error {
		answer = tok.DecodeAnswer(ids)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func questions() []string {
	return []string{"Who are you?", "Which boat lies at the pier?", "Where does Karl live, and what does he sell in winter?", "a", "🙂 naïve?"}
}

// TestAnswers: an answer is what the engine generates, whole and as a stream, with its
// tokens counted; sixteen clients at once get the same ones.
func TestAnswers(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	want := map[string]string{}
	for _, q := range questions() {
		want[q] = generated(t, m, tok, q, 24)
	}
	r := start(t, served(t, m, tok), Options{Queue: 1000})
	var wg sync.WaitGroup
	for client := range 16 {
		wg.Go(func() {
			for i := range questions() {
				q := questions()[(client+i)%len(questions())]
				_, body := r.post(t, chat, asking(q, `"temperature": 0, "max_tokens": 24`))
				got := read(t, body)
				if len(got.Choices) != 1 || got.Choices[0].Message.Content != want[q] || got.Choices[0].Message.Role != "assistant" || got.Object != "chat.completion" {
					t.Errorf("%s: %s, want %q", q, body, want[q])
					continue
				}
				reason := *got.Choices[0].FinishReason
				if u := got.Usage; u.Prompt == 0 || u.Completion == 0 && want[q] != "" || u.Total != u.Prompt+u.Completion || (u.Completion == 24) != (reason == "length") {
					t.Errorf("%s: %s", q, body)
				}
				_, body = r.post(t, chat, asking(q, `"temperature": 0, "max_completion_tokens": 24, "stream": true, "stream_options": {"include_usage": true}`))
				joined, finish, all := "", "", events(t, body)
				for i, e := range all {
					if i == len(all)-1 {
						if len(e.Choices) != 0 || *e.Usage != *got.Usage {
							t.Errorf("the usage of the stream is %+v, of the whole answer %+v", e.Usage, got.Usage)
						}
						continue
					}
					if c := e.Choices[0]; c.Delta.Content != nil {
						joined += *c.Delta.Content
					}
					if f := e.Choices[0].FinishReason; f != nil {
						finish = *f
					}
				}
				if joined != want[q] || finish != reason || all[0].Choices[0].Delta.Role != "assistant" {
					t.Errorf("%s as a stream: %q, %s", q, joined, finish)
				}
			}
		})
	}
	wg.Wait()
}

// TestStop: a stop text ends the answer before it, whole and as a stream.
func TestStop(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	q := questions()[2]
	all := generated(t, m, tok, q, 24)
	if len(all) < 6 {
		t.Fatalf("the answer %q is too short for this test", all)
	}
	stop := all[3:5]
	want := all[:strings.Index(all, stop)]
	r := start(t, served(t, m, tok), Options{})
	parameters, err := json.Marshal(stop)
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf(`"temperature": 0, "max_tokens": 24, "stop": %s`, parameters)
	_, body := r.post(t, chat, asking(q, more))
	if c := read(t, body).Choices[0]; c.Message.Content != want || *c.FinishReason != "stop" {
		t.Errorf("%s, want %q", body, want)
	}
	_, body = r.post(t, chat, asking(q, more+`, "stream": true`))
	joined := ""
	for _, e := range events(t, body) {
		if c := e.Choices[0].Delta.Content; c != nil {
			joined += *c
		}
	}
	if joined != want {
		t.Errorf("as a stream: %q, want %q", joined, want)
	}
}

// TestSampling: a seed decides an answer, and answers without one differ.
func TestSampling(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{})
	ask := func(more string) string {
		_, body := r.post(t, chat, asking("Who are you?", `"max_tokens": 16, "ignore_eos": true, "temperature": 3, `+more))
		return read(t, body).Choices[0].Message.Content
	}
	if a, b, c := ask(`"seed": 7`), ask(`"seed": 7`), ask(`"seed": 8`); a != b || a == c {
		t.Errorf("%q and %q with a seed, %q with another", a, b, c)
	}
	if a, b := ask(`"user": "me"`), ask(`"user": "me"`); a == b {
		t.Errorf("twice %q without a seed", a)
	}
	greedy, cold := ask(`"top_k": 1, "seed": 1`), ask(`"min_p": 1, "seed": 2`)
	if greedy != cold || greedy != ask(`"top_p": 0.0000001, "seed": 3`) {
		t.Errorf("%q with top_k = 1, %q with min_p = 1", greedy, cold)
	}
	if penalised := ask(`"top_k": 1, "repetition_penalty": 3`); penalised == greedy {
		t.Errorf("repetition_penalty changes nothing of %q", greedy)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := strings.Count(r.log.String(), "parameter=user"); n != 1 {
		t.Errorf("the log names a parameter without effect %d times\n%s", n, r.log.String())
	}
}

// TestLogprobs: the tokens of an answer with their log probabilities are its text, in
// both forms.
func TestLogprobs(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{})
	const more = `"temperature": 0, "max_tokens": 12, "logprobs": true, "top_logprobs": 3`
	_, body := r.post(t, chat, asking(questions()[2], more))
	got := read(t, body)
	joined := ""
	for _, l := range got.Choices[0].Logprobs.Content {
		joined += l.Token
		if len(l.Top) != 3 || l.Top[0].Token != l.Token || l.Top[0].Logprob != l.Logprob || l.Logprob > 0 || l.Top[1].Logprob > l.Logprob || len(l.Bytes) != len(l.Token) {
			t.Errorf("%+v", l)
		}
	}
	if joined != got.Choices[0].Message.Content || len(got.Choices[0].Logprobs.Content) != got.Usage.Completion {
		t.Errorf("the tokens are %q\n%s", joined, body)
	}
	_, body = r.post(t, chat, asking(questions()[2], more+`, "stream": true`))
	streamed := 0
	for _, e := range events(t, body) {
		if l := e.Choices[0].Logprobs; l != nil {
			streamed += len(l.Content)
		}
	}
	if streamed != got.Usage.Completion {
		t.Errorf("%d tokens in the stream, %d in the whole answer", streamed, got.Usage.Completion)
	}
	_, body = r.post(t, text, `{"model": "base", "prompt": "The boat", "max_tokens": 4, "temperature": 0, "logprobs": 2}`)
	c := read(t, body).Choices[0]
	if strings.Join(c.Logprobs.Tokens, "") != c.Text || len(c.Logprobs.TextOffset) != 4 || c.Logprobs.TextOffset[0] != 0 {
		t.Errorf("%s", body)
	}
}

// TestText: a text completion goes on with a text or with its tokens, and that is the
// same.
func TestText(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{})
	ids, err := json.Marshal(tok.Encode(tok.Begin("The boat")))
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, prompt := range []string{`"The boat"`, `["The boat"]`, string(ids), "[" + string(ids) + "]"} {
		_, body := r.post(t, text, fmt.Sprintf(`{"model": "another-name", "prompt": %s, "max_tokens": 8, "temperature": 0}`, prompt))
		got := read(t, body)
		if len(got.Choices) != 1 || got.Object != "text_completion" || got.Model != "another-name" {
			t.Fatalf("%s: %s", prompt, body)
		}
		answers = append(answers, got.Choices[0].Text)
	}
	if answers[0] == "" || answers[1] != answers[0] || answers[2] != answers[0] || answers[3] != answers[0] {
		t.Errorf("%q", answers)
	}
	_, body := r.post(t, text, `{"model": "base", "prompt": "The boat", "max_tokens": 8, "temperature": 0, "stream": true}`)
	joined := ""
	for _, e := range events(t, body) {
		joined += e.Choices[0].Text
	}
	if joined != answers[0] {
		t.Errorf("as a stream: %q, want %q", joined, answers[0])
	}
}

// TestTemplate: tools and variables reach the chat template, and what it refuses is the
// fault of the request.
func TestTemplate(t *testing.T) {
	t.Parallel()
	m, _ := base(t)
	tok := withTemplate(t, `{% if messages[0].role != 'user' %}{{ raise_exception('the first message must be one of the user') }}{% endif %}`+
		`{% if tools %}{{ tools[0].function.name }} {% endif %}{{ mood }}{{ messages[0].content }}`)
	s := served(t, m, tok)
	r := start(t, s, Options{})
	tokens := func(more string) int {
		res, body := r.post(t, chat, asking("Who are you?", `"max_tokens": 1, "temperature": 0`+more))
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s", body)
		}
		return read(t, body).Usage.Prompt
	}
	const tools = `, "tools": [{"type": "function", "function": {"name": "find_the_boat", "parameters": {}}}]`
	plain := tokens("")
	if with := tokens(tools); with <= plain {
		t.Errorf("%d tokens with tools, %d without", with, plain)
	}
	if none := tokens(tools + `, "tool_choice": "none"`); none != plain {
		t.Errorf("%d tokens with tools that may not be called, %d without", none, plain)
	}
	if with := tokens(`, "chat_template_kwargs": {"mood": "angry and tired "}`); with <= plain {
		t.Errorf("%d tokens with a variable, %d without", with, plain)
	}
	res, body := r.post(t, chat, `{"model": "base", "messages": [{"role": "system", "content": "Be brief."}]}`)
	if e := read(t, body).Error; res.StatusCode != http.StatusBadRequest || !strings.Contains(e.Message, "the first message must be one of the user") || e.Param != "messages" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// TestUnwritten: tools and documents that the chat template does not write are refused,
// whatever the words of the conversation; those that may not be used are not.
func TestUnwritten(t *testing.T) {
	t.Parallel()
	m, tok := base(t) // whose template knows neither
	r := start(t, served(t, m, tok), Options{})
	const tools = `"tools": [{"type": "function", "function": {"name": "find_the_boat", "parameters": {}}}]`
	for more, param := range map[string]string{
		tools:                                "tools",
		tools + `, "tool_choice": "auto"`:    "tools",
		`"documents": [{"text": "At pier"}]`: "documents",
		tools + `, "tool_choice": "none"`:    "",
		`"tools": [], "documents": []`:       "",
	} {
		res, body := r.post(t, chat, asking("find_the_boat", `"max_tokens": 1, `+more))
		if param == "" {
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", more, res.StatusCode, body)
			}
			continue
		}
		e := read(t, body).Error
		if res.StatusCode != http.StatusBadRequest || e == nil || e.Param != param || !strings.HasPrefix(e.Message, param+": the model's chat template does not write them") {
			t.Errorf("%s: %d %s", more, res.StatusCode, body)
		}
	}
	needs := withTemplate(t, `{% if not tools %}{{ raise_exception('no tools') }}{% endif %}{{ messages[0].content }}`)
	r = start(t, served(t, m, needs), Options{})
	if res, body := r.post(t, chat, asking("hi", `"max_tokens": 1, `+tools)); res.StatusCode != http.StatusOK {
		t.Errorf("a template that wants tools: %d %s", res.StatusCode, body)
	}
}

// TestList: the models with all of their names.
func TestList(t *testing.T) {
	t.Parallel()
	m, tok := base(t)
	r := start(t, served(t, m, tok), Options{})
	_, body := r.get(t, "/v1/models")
	var list struct {
		Data []struct {
			ID     string
			Length int `json:"max_model_len"`
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Data) != 2 || list.Data[0].ID != "base" || list.Data[1].ID != "another-name" || list.Data[0].Length != 256 {
		t.Errorf("%v\n%s", err, body)
	}
	if res, body := r.get(t, "/v1/models/base"); res.StatusCode != http.StatusOK || !strings.Contains(body, `"id":"base"`) {
		t.Errorf("%s", body)
	}
	if res, body := r.get(t, "/v1/models/owner/other"); res.StatusCode != http.StatusNotFound || !strings.Contains(body, `this server has another-name, base`) {
		t.Errorf("%s", body)
	}
	if res, _ := r.get(t, "/health"); res.StatusCode != http.StatusOK {
		t.Errorf("%s", res.Status)
	}
}
