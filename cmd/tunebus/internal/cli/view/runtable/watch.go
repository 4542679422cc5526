package runtable

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
)

// Watched is a list of runs that is shown again and again.
type Watched struct {
	w      io.Writer
	asJSON bool
	// shown is what was written last of each run, where the list does not stand on a
	// terminal.
	shown map[string]string
}

// NewWatched returns a list that a terminal shows in one place. Elsewhere it is the
// lines of runs that have changed.
func NewWatched(w io.Writer, asJSON bool) *Watched {
	return &Watched{w: w, asJSON: asJSON, shown: map[string]string{}}
}

// Capacity is how many runs fit onto the terminal; 0 if there is none.
func (l *Watched) Capacity() int {
	width, height := terminal.Size(l.w)
	if width == 0 || l.asJSON {
		return 0
	}
	lines := height - 2
	if width < wideEnough {
		lines /= 2
	}
	return max(1, lines)
}

// Show shows the runs as they are now; below is said beneath them on a terminal.
func (l *Watched) Show(rows []Row, none, below string) error {
	if l.Capacity() > 0 {
		var text bytes.Buffer
		t := New(l.w, false)
		t.out.Reset(&text)
		if err := t.Write(rows); err != nil {
			return err
		}
		if err := t.End(none); err != nil {
			return err
		}
		terminal.Clear(l.w)
		_, err := fmt.Fprintf(l.w, "%s%s\n", text.String(), below)
		return err
	}
	for i := len(rows) - 1; i >= 0; i-- { // the newest at the end, as in a log
		if err := l.showLine(rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// showLine writes a line for a run whose state has changed. The time that it has
// taken is no change.
func (l *Watched) showLine(r Row) error {
	state := fmt.Sprint(r.status(), r.score(), r.about())
	if l.shown[r.RunID] == state {
		return nil
	}
	l.shown[r.RunID] = state
	if l.asJSON {
		text, err := r.json()
		if err != nil {
			return err
		}
		_, err = l.w.Write(append(text, '\n'))
		return err
	}
	t := New(l.w, false)
	t.width, t.rows = 0, 1
	t.line(r)
	return t.out.Flush()
}
