package progress

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
)

// Stages shows how far the stages of a command are, one behind the other, each
// counted in bytes.
type Stages struct {
	screen *terminal.Writer

	mu    sync.Mutex
	what  string
	total int64
	done  int64
	said  time.Time
	// bars and bar are nil where the screen is no terminal.
	bars *terminal.Bars
	bar  *mpb.Bar
}

// OfStages returns bars on a terminal, and else lines now and then.
func OfStages(screen *terminal.Writer) *Stages {
	s := &Stages{screen: screen}
	if screen.IsScreen() {
		s.bars = screen.Bars()
	}
	return s
}

// Next begins a stage of so many bytes, 0 if it is not known.
func (s *Stages) Next(what string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.what, s.total, s.done, s.said = what, bytes, 0, time.Now()
	fmt.Fprintf(s.screen, "%s%s\n", what, ofSize(bytes))
	if s.bars != nil && bytes > 0 {
		const widest = 30
		s.bar = s.bars.AddBar(0, mpb.BarWidth(widest), mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
		s.bar.SetTotal(bytes, false) // the stage ends with the next one
	}
}

// Add says that more bytes of the stage are done.
func (s *Stages) Add(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += n
	if s.bar != nil {
		s.bar.SetCurrent(s.done)
	} else if s.bars == nil && s.total > 0 && time.Since(s.said) > 2*time.Second {
		s.said = time.Now()
		fmt.Fprintf(s.screen, "%s: %s of %s (%d %%)\n", s.what, view.ByteSize(s.done), view.ByteSize(s.total), view.Percent(s.done, s.total))
	}
}

// finish takes the bar of the stage away that was under way. The caller holds the
// lock.
func (s *Stages) finish() {
	if s.bar != nil {
		s.bar.Abort(true)
		s.bar.Wait()
		s.bar = nil
	}
}

// Close ends the display; the names of the stages stay on the screen.
func (s *Stages) Close() {
	s.mu.Lock()
	s.finish()
	s.mu.Unlock()
	if s.bars != nil {
		s.bars.Close()
	}
}

func ofSize(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return " (" + view.ByteSize(bytes) + ")"
}
