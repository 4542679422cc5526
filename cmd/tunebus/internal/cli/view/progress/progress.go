// Package progress shows how far a command is: the phases of a run, or stages that
// are counted in bytes. A terminal shows bars, anything else gets a line now and
// then.
//
// A bar is there only while its phase goes on. When the phase has ended, the bar
// goes, and the line about the end stays.
package progress

import (
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
)

// Phases shows how far the phases of a run are. It is safe for concurrent use.
type Phases interface {
	// Show shows a step. An event that tells only of a wait is no step.
	Show(events.Progress)
	// Started says that the screen has said that a phase is worked on.
	Started(events.Phase)
	// Completed ends what is shown of a phase, and returns its newest figures.
	Completed(events.Phase) string
	// Close ends the display; nothing of it stays.
	Close()
}

// OfPhases returns bars on a terminal, and else lines now and then.
func OfPhases(screen *terminal.Writer) Phases {
	if !screen.IsScreen() {
		return &lines{screen: screen, started: map[events.Phase]bool{}, figures: map[events.Phase]map[string]float64{}}
	}
	return &bars{screen: screen, all: screen.Bars(), bars: map[events.Phase]*bar{}}
}

// lines writes a line every few seconds.
type lines struct {
	screen io.Writer
	mu     sync.Mutex
	last   time.Time
	// started are the phases of which the screen has said that they are worked on. Their steps
	// may be known earlier.
	started map[events.Phase]bool
	figures map[events.Phase]map[string]float64
}

// Show implements [Phases].
func (l *lines) Show(p events.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if warn(l.screen, p) || isWait(p) {
		return
	}
	if l.figures[p.Phase] == nil {
		l.figures[p.Phase] = map[string]float64{}
	}
	maps.Copy(l.figures[p.Phase], newest(p))
	if !l.started[p.Phase] || time.Since(l.last) < 2*time.Second {
		return
	}
	l.last = time.Now()
	line := fmt.Sprintf("%-10s %s%d", p.Phase, prepares(p), p.Step)
	if p.Total > 0 {
		line += fmt.Sprintf("/%d (%d %%)", p.Total, view.Percent(p.Step, p.Total))
	}
	fmt.Fprintf(l.screen, "%s%s\n", line, figures(newest(p), p.RemainingSeconds))
}

// warn writes the warnings of a phase, and reports whether there are any.
func warn(w io.Writer, p events.Progress) bool {
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "%-10s warning: %s\n", p.Phase, text)
	}
	return len(p.Warnings) > 0
}

// prepares says that a phase counts the rows that it prepares, not its steps.
func prepares(p events.Progress) string {
	if p.Stage == events.StagePrepare {
		return "prepares rows "
	}
	return ""
}

// Started implements [Phases].
func (l *lines) Started(p events.Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started[p] = true
}

// Completed implements [Phases].
func (l *lines) Completed(p events.Phase) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return loss(l.figures[p])
}

// Close implements [Phases].
func (*lines) Close() {}

// isWait reports whether an event tells only of a wait, or of its end.
func isWait(p events.Progress) bool { return p.WaitsFor != "" || p.Total == 0 && len(p.Points) == 0 }

// newest returns the newest value of each metric.
func newest(p events.Progress) map[string]float64 {
	out := map[string]float64{}
	for _, point := range p.Points {
		out[point.Key] = point.Value
	}
	return out
}

// number writes a number with so many decimals, and one that is too large for that in
// powers of ten.
func number(v float64, decimals int) string {
	if math.Abs(v) >= 1e9 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// loss writes the loss, if there is one.
func loss(values map[string]float64) string {
	if v, ok := values["loss"]; ok {
		return "  loss " + view.Loss(v)
	}
	return ""
}

// figures writes the few metrics that people watch.
func figures(values map[string]float64, remaining float64) string {
	text := loss(values)
	if v, ok := values["tokens_per_second"]; ok {
		text += "  " + number(v, 0) + " tokens/s"
	}
	if v, ok := values["rows_per_second"]; ok {
		text += fmt.Sprintf("  %.3g rows/s", v)
	}
	switch v := values["retries"]; {
	case v == 1:
		text += "  1 retry"
	case v > 1:
		text += "  " + number(v, 0) + " retries"
	}
	if remaining > 0 {
		text += fmt.Sprintf("  %s left", time.Duration(remaining)*time.Second)
	}
	return text
}

// bars shows a bar for each phase that goes on.
type bars struct {
	screen io.Writer
	all    *terminal.Bars

	mu   sync.Mutex
	bars map[events.Phase]*bar
}

// bar is the bar of one phase, with the figures after it.
type bar struct {
	bar *mpb.Bar

	mu        sync.Mutex
	name      string
	values    map[string]float64
	remaining float64
}

// Show implements [Phases].
func (b *bars) Show(p events.Progress) {
	if warn(b.screen, p) || isWait(p) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.bars[p.Phase]
	if one == nil {
		one = b.add()
		b.bars[p.Phase] = one
	}
	one.mu.Lock()
	one.name = fmt.Sprintf("%-10s %s", p.Phase, prepares(p))
	maps.Copy(one.values, newest(p))
	one.remaining = p.RemainingSeconds
	one.mu.Unlock()
	one.bar.SetTotal(p.Total, false)
	one.bar.SetCurrent(p.Step)
}

func (b *bars) add() *bar {
	one := &bar{values: map[string]float64{}}
	const widest = 30 // on a narrow terminal the bar shrinks, and the figures stay
	text := func(of func() string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return terminal.Printable(strings.ReplaceAll(of(), "\n", " "))
		})
	}
	before := mpb.PrependDecorators(text(func() string { return one.name }), decor.CountersNoUnit("%d/%d "))
	after := mpb.AppendDecorators(decor.Percentage(), text(func() string { return figures(one.values, one.remaining) }))
	// A bar without a total does not end by its count: the end of a phase is a fact.
	one.bar = b.all.AddBar(0, mpb.BarWidth(widest), before, after)
	return one
}

// Started implements [Phases]: a bar stands below all lines.
func (*bars) Started(events.Phase) {}

// Completed implements [Phases].
func (b *bars) Completed(p events.Phase) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.bars[p]
	if one == nil {
		return ""
	}
	delete(b.bars, p)
	one.end()
	one.mu.Lock()
	defer one.mu.Unlock()
	return loss(one.values)
}

// end takes a bar away.
func (b *bar) end() {
	b.bar.Abort(true)
	b.bar.Wait()
}

// Close implements [Phases].
func (b *bars) Close() {
	b.mu.Lock()
	for p, one := range b.bars {
		delete(b.bars, p)
		one.end()
	}
	b.mu.Unlock()
	b.all.Close()
}
