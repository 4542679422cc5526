package view

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tunebus/tunebus/events"
)

// Progress shows how far the phases of a run are. It is safe for concurrent
// use.
type Progress interface {
	// Show shows a step. An event that tells only of a wait is no step.
	Show(events.Progress)
	Completed(events.Phase, events.Conclusion)
	// Close ends the display; the last state stays on the screen.
	Close()
}

// Progress returns bars on a terminal, and else lines now and then.
func (c *Console) Progress() Progress {
	if c.terminal == nil {
		return &progressLines{console: c}
	}
	return newProgressBars(c)
}

// progressLines writes a line every few seconds.
type progressLines struct {
	console *Console
	mu      sync.Mutex
	last    time.Time
}

// Show implements [Progress].
func (l *progressLines) Show(p events.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if warn(l.console, p) || isWait(p) || time.Since(l.last) < 2*time.Second {
		return
	}
	l.last = time.Now()
	line := fmt.Sprintf("%-10s %s%d", p.Phase, prepares(p), p.Step)
	if p.Total > 0 {
		line += fmt.Sprintf("/%d (%d %%)", p.Total, 100*p.Step/p.Total)
	}
	l.console.Say("%s%s", line, figures(newest(p), p.RemainingSeconds))
}

// warn writes the warnings of a phase, and reports whether there are any.
func warn(c *Console, p events.Progress) bool {
	for _, w := range p.Warnings {
		c.Say("%-10s warning: %s", p.Phase, w)
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

// Completed implements [Progress].
func (*progressLines) Completed(events.Phase, events.Conclusion) {}

// Close implements [Progress].
func (*progressLines) Close() {}

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

// figures writes the few metrics that people watch.
func figures(values map[string]float64, remaining float64) string {
	var b strings.Builder
	if v, ok := values["loss"]; ok {
		fmt.Fprintf(&b, "  loss %.4f", v)
	}
	if v, ok := values["tokens_per_second"]; ok {
		fmt.Fprintf(&b, "  %.0f tokens/s", v)
	}
	if remaining > 0 {
		fmt.Fprintf(&b, "  %s left", time.Duration(remaining)*time.Second)
	}
	return b.String()
}

// progressBars shows a bar for each phase. Until Close, lines that are written
// to the screen appear above the bars.
type progressBars struct {
	console       *Console
	all           *mpb.Progress
	restoreScreen func()

	mu   sync.Mutex
	bars map[part]*bar
}

// part is a phase, or its preparation.
type part struct {
	phase events.Phase
	stage string
}

// bar is the bar of one phase, with the figures after it.
type bar struct {
	bar   *mpb.Bar
	total int64

	mu        sync.Mutex
	values    map[string]float64
	remaining float64
}

func newProgressBars(c *Console) *progressBars {
	all := mpb.New(mpb.WithOutput(c.terminal), mpb.WithAutoRefresh())
	return &progressBars{console: c, all: all, restoreScreen: c.screen.redirect(all), bars: map[part]*bar{}}
}

// Show implements [Progress].
func (b *progressBars) Show(p events.Progress) {
	if warn(b.console, p) || isWait(p) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Stage == "" {
		b.end(part{p.Phase, events.StagePrepare})
	}
	key := part{p.Phase, p.Stage}
	one := b.bars[key]
	if one == nil {
		one = b.add(p)
		b.bars[key] = one
	}
	one.mu.Lock()
	maps.Copy(one.values, newest(p))
	one.remaining = p.RemainingSeconds
	one.mu.Unlock()
	one.total = p.Total
	one.bar.SetTotal(p.Total, false)
	one.bar.SetCurrent(p.Step)
}

func (b *progressBars) add(p events.Progress) *bar {
	one := &bar{values: map[string]float64{}}
	const widest = 30 // on a narrow terminal the bar shrinks, and the figures stay
	before := mpb.PrependDecorators(
		decor.Name(fmt.Sprintf("%-10s %s", p.Phase, prepares(p))),
		decor.CountersNoUnit("%d/%d ", decor.WCSyncWidth),
	)
	after := mpb.AppendDecorators(
		decor.Percentage(decor.WCSyncSpace),
		decor.Any(func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return figures(one.values, one.remaining)
		}),
	)
	one.bar = b.all.AddBar(p.Total, mpb.BarWidth(widest), before, after)
	return one
}

// Completed fills the bar of a phase that succeeded, and leaves that of any
// other phase where it is.
func (b *progressBars) Completed(p events.Phase, how events.Conclusion) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if how == events.Success {
		b.end(part{p, ""})
		b.end(part{p, events.StagePrepare})
		return
	}
	for _, stage := range []string{"", events.StagePrepare} {
		if one := b.bars[part{p, stage}]; one != nil {
			one.bar.Abort(false)
		}
	}
}

// end fills a bar, if there is one.
func (b *progressBars) end(p part) {
	if one := b.bars[p]; one != nil && !one.bar.Completed() {
		one.bar.SetTotal(one.total, true)
	}
}

// Close implements [Progress].
func (b *progressBars) Close() {
	b.mu.Lock()
	for _, one := range b.bars {
		if !one.bar.Completed() {
			one.bar.Abort(false)
		}
	}
	b.mu.Unlock()
	b.all.Wait()
	b.restoreScreen()
}
