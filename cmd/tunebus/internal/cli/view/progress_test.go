package view

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// fakeTerminal keeps what a terminal would show.
type fakeTerminal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *fakeTerminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *fakeTerminal) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func at(step int64, points ...events.Point) events.Progress {
	return events.Progress{RunID: "r", Phase: events.Finetune, Step: step, Total: 20, Points: points, RemainingSeconds: 7}
}

// TestProgressOnATerminal: bars below, whole lines above, and the screen as it
// was afterwards.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var p fakeTerminal
	c := NewConsole(io.Discard, &p)
	c.terminal = &p
	progress := c.Progress()
	progress.Show(at(5, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
	c.Say("a line in between")
	progress.Show(at(20))
	progress.Completed(events.Finetune, events.Success)
	progress.Show(events.Progress{RunID: "r", Phase: events.Inference, Step: 1, Total: 3})
	progress.Completed(events.Inference, events.Failure)
	progress.Completed(events.Evaluation, events.Success) // never showed anything
	progress.Close()
	c.Say("after the bars")
	got := p.String()
	for _, want := range []string{"finetune", "20/20", "loss 1.2500", "4321 tokens/s", "7s left", "100", "inference", "1/3", "a line in between\n", "after the bars\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestProgressElsewhere: a file or a pipe gets plain lines, few of them.
func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	var p fakeTerminal
	c := NewConsole(io.Discard, &p)
	progress := c.Progress()
	for step := range int64(20) {
		progress.Show(at(step+1, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
	}
	progress.Close()
	if got := p.String(); got != "finetune   1/20 (5 %)  loss 1.2500  4321 tokens/s  7s left\n" {
		t.Errorf("got %q", got)
	}
}

// TestWarningsAreShownAtOnce, between the lines and above the bars, and the rows that
// are prepared are no steps.
func TestWarningsAreShownAtOnce(t *testing.T) {
	t.Parallel()
	warning := events.Progress{Phase: events.Finetune, Stage: events.StagePrepare, Warnings: []string{"4 of 4 rows lose the end"}}
	rows := events.Progress{Phase: events.Finetune, Stage: events.StagePrepare, Step: 250, Total: 1000}
	for name, terminal := range map[string]bool{"250/1000": false, "1000/1000": true} {
		var p fakeTerminal
		c := NewConsole(io.Discard, &p)
		if terminal {
			c.terminal = &p
		}
		progress := c.Progress()
		progress.Show(rows)
		progress.Show(warning)
		progress.Show(at(5))
		progress.Completed(events.Finetune, events.Success)
		progress.Close()
		got := p.String()
		if !strings.Contains(got, "warning: 4 of 4 rows lose the end\n") || !strings.Contains(got, "prepares rows "+name) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
