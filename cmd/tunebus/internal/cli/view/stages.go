package view

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Stages shows how far the stages of a command are, one behind the other, each
// counted in bytes.
type Stages struct {
	console *Console

	mu    sync.Mutex
	what  string
	total int64
	done  int64
	said  time.Time
	// bars and bar are nil where the screen is no terminal.
	bars    *mpb.Progress
	bar     *mpb.Bar
	restore func()
}

// Stages returns bars on a terminal, and else lines now and then.
func (c *Console) Stages() *Stages {
	s := &Stages{console: c}
	if c.terminal != nil {
		s.bars = mpb.New(mpb.WithOutput(c.terminal), mpb.WithAutoRefresh())
		s.restore = c.screen.redirect(s.bars)
	}
	return s
}

// Next begins a stage of so many bytes, 0 if it is not known.
func (s *Stages) Next(what string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.what, s.total, s.done, s.said = what, bytes, 0, time.Now()
	if s.bars == nil {
		s.console.Say("%s%s", what, ofSize(bytes))
		return
	}
	const widest = 30
	s.bar = s.bars.AddBar(bytes, mpb.BarWidth(widest), mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
}

// Add says that more bytes of the stage are done.
func (s *Stages) Add(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += n
	if s.bar != nil {
		s.bar.IncrInt64(n)
	} else if s.bars == nil && s.total > 0 && time.Since(s.said) > 2*time.Second {
		s.said = time.Now()
		s.console.Say("%s: %s of %s (%d %%)", s.what, ByteSize(s.done), ByteSize(s.total), 100*s.done/s.total)
	}
}

// finish ends the bar of the stage that was under way. The caller holds the
// lock.
func (s *Stages) finish() {
	if s.bar != nil {
		s.bar.SetTotal(s.done, true)
		s.bar = nil
	}
}

// Close ends the display; the last state stays on the screen.
func (s *Stages) Close() {
	s.mu.Lock()
	s.finish()
	s.mu.Unlock()
	if s.bars != nil {
		s.bars.Wait()
		s.restore()
	}
}

func ofSize(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return " (" + ByteSize(bytes) + ")"
}

// ByteSize writes a number of bytes for people.
func ByteSize(n int64) string {
	const step = 1000
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= step && u < len(units)-1 {
		v, u = v/step, u+1
	}
	if u == 0 {
		return Count(n, "byte")
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}
