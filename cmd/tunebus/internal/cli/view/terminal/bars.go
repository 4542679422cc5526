package terminal

import (
	"cmp"
	"io"
	"sync"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
)

// Bars are bars at the bottom of a terminal. Until Close, lines that are written
// appear above them.
type Bars struct {
	*mpb.Progress
	drawn  *cupwriter.Writer
	writer *Writer
	before io.Writer
	once   sync.Once
}

// Bars shows bars. The writer has to write to a terminal.
func (w *Writer) Bars() *Bars {
	drawn := cupwriter.New(carriage{w.screen.w}, true)
	all := mpb.New(mpb.WithConsoleWriter(frames{drawn, w.screen}), mpb.WithAutoRefresh())
	w.mu.Lock()
	defer w.mu.Unlock()
	b := &Bars{Progress: all, drawn: drawn, writer: w, before: w.to}
	w.to = all
	return b
}

// Close takes the bars away. All of them have to be at their end.
func (b *Bars) Close() {
	b.once.Do(func() {
		b.writer.mu.Lock() // no line is lost in bars that are over
		defer b.writer.mu.Unlock()
		b.Wait()
		// Lines wait for the next frame, and mpb draws none for them at the end.
		if b.drawn.Len() > 0 {
			b.writer.err = cmp.Or(b.writer.err, b.drawn.Flush(0))
		}
		b.writer.to = b.before
	})
}

// frames draws the bars, as wide as the terminal is.
type frames struct {
	*cupwriter.Writer
	screen *screen
}

// IsTerminal implements [mpb.ConsoleWriter].
func (frames) IsTerminal() bool { return true }

// GetTermSize implements [mpb.ConsoleWriter].
func (f frames) GetTermSize() (width, height int, err error) { return f.screen.size() }

// carriage has each frame begin at the left edge: a terminal shows the "^C" of a
// person who interrupts a command, and the frame would not write over it.
type carriage struct{ w io.Writer }

func (c carriage) Write(p []byte) (int, error) {
	if _, err := c.w.Write(append([]byte("\r"), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}
