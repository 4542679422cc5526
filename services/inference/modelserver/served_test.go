package modelserver_test

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/chatserver"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

var servedRows = flag.Int("rows", 300, "how many rows the engine asks a server of the built-in engine")

// TestServed: the engine has all rows answered by a server of the built-in engine, whose
// queue is shorter than what the engine asks at once, and the answers are those of the
// built-in engine.
func TestServed(t *testing.T) {
	t.Parallel()
	_, file, _, _ := runtime.Caller(0)
	folder := filepath.Join(filepath.Dir(file), "..", "..", "..", "configs", "quickstart", "base-model")
	model, err := llm.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	m := servedmodel.New(servedmodel.Options{
		Names: []string{"owner/base"}, Weights: model, Tokenizer: tok, MaxLength: model.Config().Positions(), Parallel: 16, CacheTokens: 16 * 256,
	})
	defer m.Close()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	server := chatserver.New(chatserver.Options{Models: []*servedmodel.Model{m}, Queue: 8, Log: slog.New(slog.DiscardHandler)})
	go func() { ended <- server.Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	b := newBench(t.TempDir())
	b.write(t, *servedRows)
	c := config("http://"+listener.Addr().String(), filepath.Join(b.dir, "machine"))
	c.Parallel = 64
	began := time.Now()
	res, err := modelserver.New(c).Run(t.Context(), b.job(request(func(s *events.Specification) { s.Inferencer.MaxNewTokens = 16 })))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows in %s, %d tokens read and %d written; %q", *servedRows, time.Since(began).Round(time.Millisecond), res.TokensIn, res.TokensOut, res.Notes)
	answers := b.answers(t, prediction.FileName)
	if len(answers) != *servedRows {
		t.Fatalf("%d answers", len(answers))
	}
	// Some of them beside the engine itself: a model is for one batch at a time.
	if model, err = llm.Open(folder); err != nil {
		t.Fatal(err)
	}
	var prompts [][]int32
	for _, p := range answers[:20] {
		text, err := tok.Render([]token.Message{{Role: "user", Content: p.Question}}, true)
		if err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, tok.Encode(text))
	}
	err = model.Generate(t.Context(), prompts, llm.GenerateConfig{MaxNewTokens: 16, EOS: tok.EOS()}, func(i int, ids []int32) error {
		if want := tok.DecodeAnswer(ids); answers[i].Answer != want {
			t.Errorf("%s: %q, want %q", answers[i].Question, answers[i].Answer, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, p := range answers {
		if p.Error != "" {
			t.Fatalf("row %d: %s", p.Index, p.Error)
		}
	}
}
