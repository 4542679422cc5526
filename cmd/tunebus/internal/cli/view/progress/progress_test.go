package progress_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/vt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
)

// fakeTerminal is a terminal that keeps what was written to it.
type fakeTerminal struct {
	width int
	mu    sync.Mutex
	b     bytes.Buffer
}

func (p *fakeTerminal) Width() int { return p.width }

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

// shown is what stands on the terminal in the end.
func (p *fakeTerminal) shown() string {
	screen := vt.NewEmulator(p.width, 24)
	_, _ = screen.WriteString(strings.ReplaceAll(p.String(), "\n", "\r\n")) // into memory
	var lines []string
	for line := range strings.Lines(screen.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func at(step int64, points ...events.Point) events.Progress {
	return events.Progress{RunID: "r", Phase: events.Finetune, Step: step, Total: 20, Points: points, RemainingSeconds: 7}
}

// TestLastLine: a line that was written just before the end stays, whether there was a
// bar or none.
func TestLastLine(t *testing.T) {
	for _, withBar := range []bool{false, true} {
		for range 20 {
			screen := &fakeTerminal{width: 80}
			w := terminal.NewWriter(screen)
			p := progress.OfPhases(w)
			if withBar {
				p.Show(at(3))
				eventually(t, screen, "3/20")
				p.Completed(events.Finetune)
			}
			fmt.Fprintln(w, "finetune   success")
			p.Close()
			if got := screen.shown(); got != "finetune   success" {
				t.Fatalf("with a bar: %t, on the screen stands %q, of\n%q", withBar, got, screen)
			}
		}
	}
}

// eventually waits until the terminal was told something.
func eventually(t *testing.T, p *fakeTerminal, text string) {
	t.Helper()
	for !strings.Contains(p.String(), text) {
		if t.Context().Err() != nil {
			t.Fatalf("no %q in\n%s", text, p.String())
		}
	}
}

// TestBars: bars below, whole lines above, and of the bars nothing stays.
func TestBars(t *testing.T) {
	t.Parallel()
	p := fakeTerminal{width: 80}
	screen := terminal.NewWriter(&p)
	phases := progress.OfPhases(screen)
	phases.Show(at(5, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
	for _, want := range []string{"finetune", "5/20", "25 %", "loss 1.2500", "4321 tokens/s", "7s left"} {
		eventually(t, &p, want)
	}
	_, _ = screen.Write([]byte("a line in between\n"))
	phases.Show(at(20))
	phases.Show(at(6, events.Point{Key: "loss", Value: -1e308}, events.Point{Key: "tokens_per_second", Value: 1e300}))
	if got := phases.Completed(events.Finetune); got != "  loss -1e+308" {
		t.Errorf("a huge loss is %q", got)
	}
	phases.Show(at(7, events.Point{Key: "loss", Value: 1.25}))
	if got := phases.Completed(events.Finetune); got != "  loss 1.2500" {
		t.Errorf("the figures are %q", got)
	}
	phases.Show(events.Progress{RunID: "r", Phase: "inference\x1b[2J\n", Step: 1, Total: 3})
	eventually(t, &p, `inference\u001b[2J`)
	if got := phases.Completed(events.Evaluation); got != "" { // it never showed anything
		t.Errorf("the figures are %q", got)
	}
	phases.Close()
	_, _ = screen.Write([]byte("after the bars\n"))
	if got := p.shown(); got != "a line in between\nafter the bars" {
		t.Errorf("on the screen stands\n%s\n%q", got, p.String())
	}
}

// TestBarsAtEveryWidth: each frame fits into the lines of the terminal, and begins
// at its left edge, also where a person's Ctrl-C moved the cursor.
func TestBarsAtEveryWidth(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 40, 80, 200} {
		p := fakeTerminal{width: width}
		screen := terminal.NewWriter(&p)
		phases := progress.OfPhases(screen)
		phases.Show(at(5, events.Point{Key: "loss", Value: 1.25}, events.Point{Key: "tokens_per_second", Value: 4321}))
		eventually(t, &p, "5/20")
		_, _ = p.Write([]byte("^C"))
		phases.Close()
		_, _ = screen.Write([]byte("end\n"))
		if got := p.shown(); got != "end" {
			t.Errorf("%d characters: on the screen stands\n%s", width, got)
		}
	}
}

// TestLines: a file or a pipe gets plain lines, few of them.
func TestLines(t *testing.T) {
	t.Parallel()
	var p bytes.Buffer
	phases := progress.OfPhases(terminal.NewWriter(&p))
	phases.Show(at(1)) // before the screen says that the phase is worked on
	phases.Started(events.Finetune)
	for step := range int64(20) {
		phases.Show(at(step+1, events.Point{Key: "loss", Value: 1.25 - float64(step)/100}, events.Point{Key: "tokens_per_second", Value: 4321}))
	}
	if got := phases.Completed(events.Finetune); got != "  loss 1.0600" {
		t.Errorf("the figures are %q", got)
	}
	phases.Close()
	if got := p.String(); got != "finetune   1/20 (5 %)  loss 1.2500  4321 tokens/s  7s left\n" {
		t.Errorf("got %q", got)
	}
}

// TestWarningsAreShownAtOnce, between the lines and above the bars. The rows that are
// prepared are no steps, and have no bar of their own.
func TestWarningsAreShownAtOnce(t *testing.T) {
	t.Parallel()
	warning := events.Progress{Phase: events.Finetune, Stage: events.StagePrepare, Warnings: []string{"4 of 4 rows lose the end"}}
	rows := events.Progress{Phase: events.Finetune, Stage: events.StagePrepare, Step: 250, Total: 1000}
	var pipe bytes.Buffer
	phases := progress.OfPhases(terminal.NewWriter(&pipe))
	phases.Started(events.Finetune)
	phases.Show(rows)
	phases.Show(warning)
	phases.Close()
	if got := pipe.String(); got != "finetune   prepares rows 250/1000 (25 %)\nfinetune   warning: 4 of 4 rows lose the end\n" {
		t.Errorf("a pipe: %q", got)
	}
	p := fakeTerminal{width: 80}
	phases = progress.OfPhases(terminal.NewWriter(&p))
	phases.Show(rows)
	eventually(t, &p, "prepares rows 250/1000")
	phases.Show(warning)
	phases.Show(at(5))
	eventually(t, &p, "5/20")
	phases.Completed(events.Finetune)
	phases.Close()
	if got := p.shown(); got != "finetune   warning: 4 of 4 rows lose the end" {
		t.Errorf("on the screen stands\n%s", got)
	}
}
