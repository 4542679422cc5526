package servecmd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/conversation"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/sampling"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// quickBase is the folder of the quickstart's base model.
func quickBase() string { return filepath.Join(clitest.Root(), "configs", "quickstart", "base-model") }

// adapter writes an adapter for the quickstart's base model, which a step of training
// made different from it.
func adapter(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	m, err := llm.Open(quickBase())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AttachLoRA(llm.LoRAConfig{Rank: 4, Alpha: 8}); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(quickBase())
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode("Who are you? Nobody at all, at all, at all.")
	example := llm.Example{IDs: ids, Count: make([]bool, len(ids))}
	for i := range example.Count {
		example.Count[i] = true
	}
	if _, err := m.Train(t.Context(), llm.InMemory{example}, nil, llm.TrainConfig{Epochs: 8, LearningRate: 0.05}, llm.Hooks{}, ""); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveAdapter(dir, quickBase()); err != nil {
		t.Fatal(err)
	}
	if err := token.CopyFiles(quickBase(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// folder makes a data folder with a run "r" that tuned an adapter, and asked it in some way.
func folder(t *testing.T, model string, asked events.Inferencer) *clitest.DataFolder {
	t.Helper()
	f := clitest.NewDataFolder(t)
	files := transfer.New(f.Store)
	base, err := files.PutDir(t.Context(), "uploads/r/base.tar", quickBase())
	if err != nil {
		t.Fatal(err)
	}
	ref, err := files.PutDir(t.Context(), "runs/r/finetune/1/model.tar", model)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plan := []events.Step{{Phase: events.Finetune, Queue: "builtin"}}
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b,
			events.PipelineAccepted{
				RunID: "r", RunName: "amber-quartz", RequestedAt: at, Plan: plan, Inputs: events.Inputs{Files: map[string]events.Reference{"fine_tuner.base_model_id": base}},
				Specification: events.Specification{
					FineTuner:  events.FineTuner{BaseModelID: quickBase(), Rank: 4, LoRAAlpha: 8, TrainingDataID: "owner/rows", SystemPromptOverrideText: "Be brief."},
					Inferencer: asked,
					Pipeline:   events.Pipeline{EnableFinetuning: true},
				},
			},
			events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "builtin", Plan: plan},
			events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "w"},
			events.PhaseCompleted{
				RunID: "r", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute),
				Artifacts: []events.Artifact{{Name: events.ArtifactModel, Reference: ref}},
			},
			events.PipelineCompleted{RunID: "r", Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute), DurationSeconds: 60})
	})
	return f
}

// screen is what a command writes while a test reads it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// serving is a server of a test.
type serving struct {
	url    string
	models []string
	screen *screen
	lines  *bufio.Scanner
	stop   func() (status int, rest string)
}

// serve starts a server, and waits until it is ready. It ends with stop.
func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	r, w := io.Pipe()
	s := &serving{screen: &screen{}, lines: bufio.NewScanner(r)}
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...), w, s.screen)
		_ = w.Close() // of a pipe: never fails
	}()
	s.stop = sync.OnceValues(func() (int, string) {
		cancel(interrupt.Signal{Signal: os.Interrupt})
		rest := ""
		for s.lines.Scan() {
			rest += s.lines.Text() + "\n"
		}
		return <-done, rest
	})
	t.Cleanup(func() { s.stop() })
	var ready struct {
		Event, URL string
		Models     []string
	}
	if !s.lines.Scan() {
		t.Fatalf("it is not ready\n%s", s.screen)
	}
	if err := json.Unmarshal(s.lines.Bytes(), &ready); err != nil || ready.Event != "ready" {
		t.Fatalf("%v: %s\n%s", err, s.lines.Text(), s.screen)
	}
	s.url, s.models = ready.URL, ready.Models
	return s
}

// ask returns the greedy answer of a model, which has the system prompt of the run.
func (s *serving) ask(t *testing.T, model string) string {
	t.Helper()
	return s.askWith(t, map[string]any{"model": model, "temperature": 0})
}

// askWith returns the answer to a request with some parameters.
func (s *serving) askWith(t *testing.T, parameters map[string]any) string {
	t.Helper()
	request := map[string]any{
		"max_tokens": 12, "ignore_eos": true,
		"messages": []map[string]string{{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who are you?"}},
	}
	maps.Copy(request, parameters)
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	// The line of the request waits for whoever reads stdout.
	line := make(chan string, 1)
	go func() {
		s.lines.Scan()
		line <- s.lines.Text()
	}()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Choices) != 1 {
		t.Fatalf("%s, %v, %+v", res.Status, err, got)
	}
	if text := <-line; !strings.HasPrefix(text, `{"event":"request","id":"chatcmpl-`) || !strings.Contains(text, `"status":200`) || !strings.Contains(text, `"completion_tokens":12`) {
		t.Errorf("the line of the request is %s", text)
	}
	return got.Choices[0].Message.Content
}

// TestServeRun: a run is served under its names, its base model beside it, and the two
// differ as they do in chat. Ctrl-C ends the command with its status.
func TestServeRun(t *testing.T) {
	t.Parallel()
	f := folder(t, adapter(t), events.Inferencer{})
	s := serve(t, "last", "--data", f.Dir)
	if want := []string{"amber-quartz", "r", quickBase()}; !slices.Equal(s.models, want) {
		t.Fatalf("it serves %q, want %q", s.models, want)
	}
	tuned, base := s.ask(t, "amber-quartz"), s.ask(t, quickBase())
	if again := s.ask(t, "r"); tuned == base || again != tuned || tuned == "" {
		t.Errorf("the tuned model says %q and %q, the base model %q", tuned, again, base)
	}
	if !strings.Contains(s.screen.String(), "answers best if requests begin with it, as a message of the role system: Be brief.") {
		t.Errorf("the screen does not name the system prompt\n%s", s.screen)
	}
	status, rest := s.stop()
	if status != 130 || rest != "{\"event\":\"stopping\",\"open\":0}\n{\"event\":\"stopped\",\"cut\":0}\n" {
		t.Errorf("status %d\n%s%s", status, rest, s.screen)
	}
	// The same models say the same in chat, up to where they end an answer.
	status, out, text := clitest.RunWithInput(t, strings.NewReader("Who are you?\n"), "chat", "r", "--data", f.Dir, "--base", "--json", "--temperature", "0", "--max-new-tokens", "12")
	var said struct {
		Answer string
		Base   string `json:"base_answer"`
	}
	if err := json.Unmarshal([]byte(out), &said); status != 0 || err != nil || !strings.HasPrefix(tuned, said.Answer) || !strings.HasPrefix(base, said.Base) {
		t.Errorf("status %d, %v: chat says %q and %q, the server %q and %q\n%s", status, err, said.Answer, said.Base, tuned, base, text)
	}
}

// TestServeBits: the model of a run that answered with weights of 4 bits does so here and in
// chat, which is said.
func TestServeBits(t *testing.T) {
	t.Parallel()
	const question, note = "Which boat lies at the pier?", "note: as in run r, whose inferencer.load_in_4bit is true, the model answers with weights of 4 bits\n"
	dir := adapter(t)
	asked := events.Inferencer{LoadIn4bit: true, MaxNewTokens: 12, Temperature: 1, TopP: 1, RepetitionPenalty: 1, Seed: 7}
	f := folder(t, dir, asked)
	direct := func(bits int) string {
		p, err := conversation.Open("tuned", conversation.Folders{Base: quickBase(), Tuned: dir}, conversation.Options{
			System: "Be brief.", Bits: bits,
			Generate: generation.Prompt{MaxNewTokens: 12, Sampling: sampling.Config{Temperature: 1, TopP: 1, RepetitionPenalty: 1, Seed: 7}},
		})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := p.Ask(t.Context(), question, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return answer.Text
	}
	want := direct(4)
	if stored := direct(0); stored == want {
		t.Fatalf("in all bits it says %q: take another seed", want)
	}
	status, out, text := clitest.RunWithInput(t, strings.NewReader(question+"\n"), "chat", "r", "--data", f.Dir)
	if status != 0 || out != want+"\n" || strings.Count(text, note) != 1 {
		t.Errorf("status %d: chat says %q, want %q\n%s", status, out, want, text)
	}

	stored, quantised := serve(t, dir), serve(t, "r", "--data", f.Dir)
	differs := false
	for seed := 0; seed < 20 && !differs; seed++ {
		sampled := map[string]any{"temperature": 1, "seed": seed}
		sampled["model"] = "r"
		got := quantised.askWith(t, sampled)
		sampled["model"] = dir
		differs = got != stored.askWith(t, sampled)
	}
	if !differs || strings.Count(quantised.screen.String(), note) != 1 {
		t.Errorf("with weights of 4 bits it says the same as with the stored ones, or no note of them\n%s", quantised.screen)
	}
}

// TestServeFolders: an adapter in a folder and its base model share their weights, each
// under its names; another name takes their place.
func TestServeFolders(t *testing.T) {
	t.Parallel()
	dir := adapter(t)
	s := serve(t, dir, quickBase())
	if want := []string{filepath.Base(dir), dir, "base-model", quickBase()}; !slices.Equal(s.models, want) {
		t.Errorf("it serves %q, want %q", s.models, want)
	}
	if tuned, base := s.ask(t, dir), s.ask(t, "base-model"); tuned == base {
		t.Errorf("both say %q", base)
	}
	s.stop()
	s = serve(t, quickBase(), "--name", "harbour")
	if !slices.Equal(s.models, []string{"harbour"}) {
		t.Errorf("it serves %q", s.models)
	}
}

// TestNobodyReads: whoever reads the first line and no more holds up neither requests nor
// the end; who reads on later learns how much is missing.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	s := serve(t, quickBase())
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	const requests = 1500
	for range requests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/models", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", res.Status, err)
		}
	}
	client.CloseIdleConnections()
	status, rest := s.stop()
	said, lost := strings.Count(rest, `{"event":"request"`), 0
	for line := range strings.Lines(rest) {
		var l struct{ Lines int }
		if strings.HasPrefix(line, `{"event":"lost"`) {
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			lost += l.Lines
		}
	}
	if status != 130 || lost == 0 || said+lost < requests || said+lost > requests+1 { // stopping may be among the lost
		t.Errorf("status %d, %d requests said, %d lines lost", status, said, lost)
	}
}

// TestNobodyReadsAtAll: the end comes without a reader.
func TestNobodyReadsAtAll(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"serve", "--json", "--listen", "127.0.0.1:0", quickBase()}, w, &screen{})
	}()
	if lines := bufio.NewScanner(r); !lines.Scan() {
		t.Fatal("it is not ready")
	}
	cancel(interrupt.Signal{Signal: os.Interrupt})
	select {
	case status := <-done:
		if status != 130 {
			t.Errorf("status %d", status)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
	_ = r.Close() // of a pipe: never fails; what was left unsaid ends with it
}

// TestServeGreedily: a model whose generation_config.json says do_sample = false answers
// greedily where a request has no temperature, and the start says so.
func TestServeGreedily(t *testing.T) {
	t.Parallel()
	s := serve(t, quickBase())
	greedy := s.askWith(t, map[string]any{"model": "base-model", "temperature": 0})
	for range 3 {
		if got := s.askWith(t, map[string]any{"model": "base-model"}); got != greedy {
			t.Errorf("without a temperature it says %q, and greedily %q", got, greedy)
		}
	}
	if hot := s.askWith(t, map[string]any{"model": "base-model", "temperature": 5, "seed": 1}); hot == greedy {
		t.Errorf("the temperature of a request changes nothing: %q", hot)
	}
	if want := "note: by its generation_config.json, a request to base-model that says nothing else has temperature 0 (always the likeliest token)"; !strings.Contains(s.screen.String(), want) {
		t.Errorf("the start does not say %q\n%s", want, s.screen)
	}
}

// TestServeText: the first lines for people have a command that asks the server.
func TestServeText(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	var log screen
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"serve", quickBase(), "--listen", "127.0.0.1:0", "--queue", "7"}, w, &log)
		_ = w.Close()
	}()
	lines := bufio.NewScanner(r)
	text := ""
	for range 3 {
		lines.Scan()
		text += lines.Text() + "\n"
	}
	for _, want := range []string{"ready: http://127.0.0.1:", "/v1, with base-model, ", "16 requests answered at once, 7 wait; each has up to 256 tokens", "  curl http://127.0.0.1:", `"model":"base-model"`} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q\n%s", want, text)
		}
	}
	cancel(interrupt.Signal{Signal: os.Interrupt})
	if status := <-done; status != 130 || !strings.Contains(log.String(), "stopping\n") {
		t.Errorf("status %d\n%s", status, &log)
	}
}

// TestServeKeyText: the command of the first lines works as it stands where a key is wanted.
func TestServeKeyText(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl, with which the command is tried")
	}
	dir := t.TempDir()
	clitest.Write(t, dir, "key file", "0123456789abcdef\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	var log screen
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"serve", quickBase(), "--listen", "127.0.0.1:0", "--api-key-file", filepath.Join(dir, "key file")}, w, &log)
		_ = w.Close()
	}()
	lines := bufio.NewScanner(r)
	for range 3 {
		lines.Scan()
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", lines.Text()).Output()
	if err != nil || !strings.Contains(string(out), `"object":"chat.completion"`) {
		t.Errorf("%s: %v\n%s", lines.Text(), err, out)
	}
	cancel(interrupt.Signal{Signal: os.Interrupt})
	if status := <-done; status != 130 {
		t.Errorf("status %d\n%s", status, &log)
	}
}

// TestServeRefusals: what is wrong with the command is said before a model is read.
func TestServeRefusals(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	dir := t.TempDir()
	clitest.Write(t, dir, "empty", "\n")
	clitest.Write(t, dir, "short", "abc\n")
	clitest.Write(t, dir, "model.gguf", "GGUF")
	clitest.Write(t, dir, "two", "abc\ndef")
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	any := []string{"--listen", "127.0.0.1:0"}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":         {nil, "want a RUN or a MODEL"},
		"no key":          {[]string{quickBase(), "--listen", "0.0.0.0:0"}, "clients have to send a key"},
		"no host, no key": {[]string{quickBase(), "--listen", ":0"}, "clients have to send a key"},
		"short key":       {[]string{quickBase(), "--listen", "0.0.0.0:0", "--api-key-file", dir + "/short"}, "the key has 3 characters; want 16 or more"},
		"empty key":       {[]string{quickBase(), "--api-key-file", dir + "/empty"}, "the file is empty"},
		"two lines":       {[]string{quickBase(), "--api-key-file", dir + "/two"}, "a character that no header can send"},
		"no file":         {[]string{quickBase(), "--api-key-file", dir + "/none"}, "no such file"},
		"busy":            {[]string{quickBase(), "--listen", busy.Addr().String()}, "another process listens there; choose another port, or 127.0.0.1:0"},
		"no port":         {[]string{quickBase(), "--listen", "localhost"}, "want an address and a port"},
		"numbers":         {[]string{quickBase(), "--parallel", "0", "--queue", "-1", "--grace", "-1s"}, "--queue -1: want 0 to 1000000"},
		"too many":        {[]string{quickBase(), "--parallel", "1000000000"}, "--parallel 1000000000: want 1 to 4096"},
		"too large":       {[]string{quickBase(), "--cache-tokens", "9000000000"}, "--cache-tokens 9000000000: the machine has room for the keys and values of "},
		"names":           {[]string{quickBase(), "./x", "--name", "n"}, "want one name, for one RUN or MODEL"},
		"no folder":       {append(any, "./nowhere/at/all"), "there is no such folder, and it is no id of the Hub"},
		"a GGUF file":     {append(any, dir+"/model.gguf"), "model.gguf is a GGUF file, which tunebus does not read; name the checkpoint that it was made from"},
		"a file":          {append(any, dir+"/short"), "is a file; want the folder of a model"},
		"too long":        {append(any, quickBase(), "--max-sequence-length", "257"), "was made for 256 tokens"},
		"small cache":     {append(any, quickBase(), "--cache-tokens", "100"), "one request of base-model may have 256 tokens"},
		"twice":           {append(any, quickBase(), quickBase()), "is there twice; leave one of them out"},
		"no run":          {append(any, "nobody", "--data", f.Dir), "run nobody is unknown"},
		"no model":        {append(any, "r", "--data", f.Dir), "run r tuned no model"},
		"no checkpoint":   {append(any, dir), "config.json"},
	} {
		status, out, screen := clitest.Run(t, append([]string{"serve"}, c.args...)...)
		if want := 2; status != want && name != "no checkpoint" || status == 0 || !strings.Contains(screen, c.says) || out != "" {
			t.Errorf("%s: status %d\n%s%s", name, status, out, screen)
		}
	}
}
