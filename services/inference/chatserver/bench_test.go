package chatserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/token"
)

// BenchmarkClients measures tokens a second of sixteen clients beside those of the batch
// engine with sixteen rows, in turns: ratio is the median of the clients' by the
// engine's. Rows are of the same length, so that both have sixteen of them at each step.
func BenchmarkClients(b *testing.B) {
	for _, size := range []struct {
		name                 string
		hidden, layers, most int
	}{{"quickstart", 192, 2, 200}, {"10M", 384, 6, 100}} {
		for _, stream := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/stream=%v", size.name, stream), func(b *testing.B) {
				m, tok := sized(b, size.hidden, size.layers)
				s := served(b, m, tok)
				m, _ = sized(b, size.hidden, size.layers) // a model is for one batch at a time
				r := start(b, s, Options{Queue: 16})
				ask := func() time.Duration { return clients(b, r, size.most, stream) }
				direct := func() time.Duration { return rows(b, m, tok, size.most) }
				ask()
				direct()
				var ratio, engine, server []float64
				for b.Loop() {
					d, c := direct(), ask()
					ratio = append(ratio, d.Seconds()/c.Seconds())
					engine = append(engine, float64(clientsAtOnce*size.most)/d.Seconds())
					server = append(server, float64(clientsAtOnce*size.most)/c.Seconds())
				}
				b.ReportMetric(median(ratio), "ratio")
				b.ReportMetric(median(engine), "engine-tok/s")
				b.ReportMetric(median(server), "clients-tok/s")
			})
		}
	}
}

// sized is the quickstart's model, or one of its kind with random weights.
func sized(b *testing.B, hidden, layers int) (*llm.Model, *token.Tokenizer) {
	b.Helper()
	m, tok := base(b)
	cfg := m.Config()
	if layers == cfg.Layers {
		return m, tok
	}
	cfg.HiddenSize, cfg.IntermediateSize, cfg.Layers, cfg.HeadDim = hidden, hidden*7/3, layers, hidden/cfg.Heads
	m, err := llm.New(cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	return m, tok
}

const clientsAtOnce = 16

func question16(i int) string { return strings.Repeat(string(rune('a'+i))+" ", 10) }

// rows is how long the batch engine takes for an answer of so many tokens to each of
// sixteen prompts.
func rows(b *testing.B, m *llm.Model, tok *token.Tokenizer, most int) time.Duration {
	b.Helper()
	batch := llm.NewBatch(m, generation.Config{MaxSequences: clientsAtOnce, Decode: tok.DecodeAnswer})
	began := time.Now()
	for i := range clientsAtOnce {
		prompt, err := tok.Render([]token.Message{{Role: "user", Content: question16(i)}}, true)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := batch.Add(generation.Prompt{IDs: tok.Encode(prompt), MaxNewTokens: most}); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// clients is how long sixteen clients wait for the same.
func clients(b *testing.B, r *running, most int, stream bool) time.Duration {
	b.Helper()
	var wg sync.WaitGroup
	began := time.Now()
	for i := range clientsAtOnce {
		wg.Go(func() {
			body := asking(question16(i), fmt.Sprintf(`"temperature": 0, "ignore_eos": true, "max_tokens": %d, "stream": %v`, most, stream))
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+chat, strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := r.client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
				b.Errorf("%s, %v", res.Status, err)
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
