// Package logwarnings shows the warnings of a log as sentences.
//
//	log := slog.New(logwarnings.New(console))
package logwarnings

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// warnings shows the warnings of a log as sentences, for a person who did not ask
// for a log. What the facts of a run tell is left out: the command shows them.
type warnings struct {
	console *view.Console
	said    *said
	attrs   []slog.Attr
}

// said knows when each warning was shown last.
type said struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// again is how long a warning is not shown once more.
const again = time.Minute

// temporary is the part of the name of a file that is another one at each try.
var temporary = regexp.MustCompile(`\.tmp-\w+`)

// isNew reports whether a text was not shown a moment ago.
func (s *said) isNew(text string, at time.Time) bool {
	text = temporary.ReplaceAllString(text, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.last[text]; ok && at.Sub(before) < again {
		return false
	}
	s.last[text] = at
	return true
}

// Enabled implements [slog.Handler].
func (*warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// WithAttrs implements [slog.Handler].
func (w *warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &warnings{w.console, w.said, append(slices.Clip(w.attrs), attrs...)}
}

// WithGroup implements [slog.Handler]. The log has no groups.
func (w *warnings) WithGroup(string) slog.Handler { return w }

// New returns the handler of a log whose warnings a console shows.
func New(console *view.Console) slog.Handler {
	return &warnings{console: console, said: &said{last: map[string]time.Time{}}}
}

// facts are the messages that tell what a fact of the run tells, too.
var facts = []string{
	"phase completed", "attempt ended; trying again", "request rejected", "tracking is pending", "not pushed to the Hub",
	"request rejected: it became a dead letter",
}

// notShown are the attributes that say nothing to a person.
var notShown = []string{"service", "stack", "token"}

// Handle implements [slog.Handler].
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	if slices.Contains(facts, r.Message) {
		return nil
	}
	cause, details, phase, ofRequest := "", []string(nil), false, false
	add := func(a slog.Attr) bool {
		phase = phase || a.Key == "phase"
		ofRequest = ofRequest || a.Key == "subject" && a.Value.String() == events.TypePipelineRequested
		switch {
		case a.Key == "reason" && ofRequest: // its rejection tells why
		case a.Key == "error":
			cause = ": " + a.Value.String()
		case !slices.Contains(notShown, a.Key):
			details = append(details, a.Key+" "+a.Value.String())
		}
		return true
	}
	for _, a := range w.attrs {
		add(a)
	}
	r.Attrs(add)
	if phase && cause == "" && w.console.Follows { // of the run's data, which its progress tells, too
		return nil
	}
	if ofRequest && strings.HasPrefix(cause, ": given up: ") { // so does the dead letter
		return nil
	}
	text := r.Message + cause
	if len(details) > 0 {
		text += fmt.Sprintf(" (%s)", strings.Join(details, ", "))
	}
	if w.said.isNew(text, r.Time) {
		w.console.Say("warning: %s", view.Sentence(text))
	}
	return nil
}
