// Package runlog writes the log of a run, line by line: for people with the time and
// the attempt in front, or as a JSON object a line.
package runlog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// Line is a line of the log of a run.
type Line struct {
	Time time.Time `json:"time"`
	// Phase and Attempt are empty for what happens to the run as a whole, Attempt alone for
	// what happens to a phase outside of the attempts of workers.
	Phase   events.Phase `json:"phase,omitempty"`
	Attempt int          `json:"attempt,omitempty"`
	// Number counts the lines of the attempt, from 1; 0 for what its facts say.
	Number int64  `json:"number,omitempty"`
	Level  string `json:"level"`
	Text   string `json:"text"`
}

// Writer writes lines.
type Writer struct {
	out    io.Writer
	asJSON bool
}

// New returns a writer.
func New(w io.Writer, asJSON bool) *Writer { return &Writer{out: w, asJSON: asJSON} }

// Write writes a line.
func (w *Writer) Write(l Line) error {
	if w.asJSON {
		return json.NewEncoder(w.out).Encode(l)
	}
	whose := "run"
	switch {
	case l.Attempt > 0:
		whose = fmt.Sprintf("%s %d", l.Phase, l.Attempt)
	case l.Phase != "":
		whose = string(l.Phase)
	}
	level := ""
	if l.Level == "warning" || l.Level == "error" {
		level = l.Level + ": "
	}
	text := strings.ReplaceAll(view.Printable(l.Text), "\n", "\n    ")
	_, err := fmt.Fprintf(w.out, "%s  %-12s  %s%s\n", l.Time.Local().Format(time.DateTime), whose, level, text)
	return err
}
