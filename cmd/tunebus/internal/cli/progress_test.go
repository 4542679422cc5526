package cli

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// paper keeps what a terminal would show.
type paper struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func at(step int64, points ...events.Point) events.Progress {
	return events.Progress{RunID: "r", Phase: events.Finetune, Step: step, Total: 20, Points: points, RemainingSeconds: 7}
}

// TestBarsOnATerminal: bars below, whole lines above, and the screen as it
// was afterwards.
func TestBarsOnATerminal(t *testing.T) {
	t.Parallel()
	var p paper
	a := &app{out: io.Discard, screen: &screen{w: &p}, terminal: &p}
	view := a.progress()
	view.show(at(5, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
	a.say("a line in between")
	view.show(at(20))
	view.completed(events.Finetune, events.Success)
	view.show(events.Progress{RunID: "r", Phase: events.Inference, Step: 1, Total: 3})
	view.completed(events.Inference, events.Failure)
	view.completed(events.Evaluation, events.Success) // never showed anything
	view.close()
	a.say("after the bars")
	got := p.String()
	for _, want := range []string{"finetune", "20/20", "loss 1.2500", "4321 tokens/s", "7s left", "100", "inference", "1/3", "a line in between\n", "after the bars\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestLinesElsewhere: a file or a pipe gets plain lines, few of them.
func TestLinesElsewhere(t *testing.T) {
	t.Parallel()
	var p paper
	a := &app{out: io.Discard, screen: &screen{w: &p}, terminal: terminal(&p)}
	view := a.progress()
	for step := range int64(20) {
		view.show(at(step+1, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
	}
	view.close()
	if got := p.String(); got != "finetune   1/20 (5 %)  loss 1.2500  4321 tokens/s  7s left\n" {
		t.Errorf("got %q", got)
	}
}
