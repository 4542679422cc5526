package cli

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

// progress shows how far the phases of a run are.
type progress interface {
	show(events.Progress)
	completed(events.Phase, events.Conclusion)
	// close ends the showing; what was shown stays on the screen.
	close()
}

// progress is made of bars on a terminal, else of lines now and then.
func (a *app) progress() progress {
	if a.terminal == nil {
		return &progressLines{app: a}
	}
	return newBars(a)
}

// progressLines writes a line every few seconds.
type progressLines struct {
	app  *app
	mu   sync.Mutex
	last time.Time
}

func (l *progressLines) show(p events.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.last) < 2*time.Second {
		return
	}
	l.last = time.Now()
	line := fmt.Sprintf("%-10s %d", p.Phase, p.Step)
	if p.Total > 0 {
		line += fmt.Sprintf("/%d (%d %%)", p.Total, 100*p.Step/p.Total)
	}
	l.app.say("%s%s", line, details(values(p), p.RemainingSeconds))
}

func (*progressLines) completed(events.Phase, events.Conclusion) {}

func (*progressLines) close() {}

// values are the newest values of the points.
func values(p events.Progress) map[string]float64 {
	out := map[string]float64{}
	for _, point := range p.Points {
		out[point.Key] = point.Value
	}
	return out
}

// details are the figures that people watch.
func details(values map[string]float64, remaining float64) string {
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

// bars shows a bar for each phase. While it is open, lines that are written
// to the screen appear above the bars.
type bars struct {
	app  *app
	all  *mpb.Progress
	back func() // gives the screen back

	mu   sync.Mutex
	bars map[events.Phase]*bar
}

// bar is one phase's, with the figures behind it.
type bar struct {
	bar   *mpb.Bar
	total int64

	mu        sync.Mutex
	values    map[string]float64
	remaining float64
}

func newBars(a *app) *bars {
	all := mpb.New(mpb.WithOutput(a.terminal), mpb.WithAutoRefresh())
	return &bars{app: a, all: all, back: a.screen.over(all), bars: map[events.Phase]*bar{}}
}

func (b *bars) show(p events.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.bars[p.Phase]
	if one == nil {
		one = b.add(p.Phase, p.Total)
		b.bars[p.Phase] = one
	}
	one.mu.Lock()
	maps.Copy(one.values, values(p))
	one.remaining = p.RemainingSeconds
	one.mu.Unlock()
	one.total = p.Total
	one.bar.SetTotal(p.Total, false)
	one.bar.SetCurrent(p.Step)
}

func (b *bars) add(p events.Phase, total int64) *bar {
	one := &bar{values: map[string]float64{}}
	const widest = 30 // a bar gives way to the figures where the terminal is narrow
	one.bar = b.all.AddBar(total, mpb.BarWidth(widest),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-10s ", p)), decor.CountersNoUnit("%d/%d ", decor.WCSyncWidth)),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Any(func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return details(one.values, one.remaining)
		})))
	return one
}

// completed fills the bar of a phase that went well, and leaves that of
// another one where it is.
func (b *bars) completed(p events.Phase, how events.Conclusion) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.bars[p]
	if one == nil {
		return
	}
	if how == events.Success {
		one.bar.SetTotal(one.total, true)
	} else {
		one.bar.Abort(false)
	}
}

func (b *bars) close() {
	b.mu.Lock()
	for _, one := range b.bars {
		if !one.bar.Completed() {
			one.bar.Abort(false)
		}
	}
	b.mu.Unlock()
	b.all.Wait()
	b.back()
}
