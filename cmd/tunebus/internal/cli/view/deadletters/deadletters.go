// Package deadletters renders dead letters, and what became of them.
package deadletters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/secretname"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// deadLetter is a dead letter in the list.
type deadLetter struct {
	Letter   uint64    `json:"letter"`
	Time     time.Time `json:"time"`
	Consumer string    `json:"consumer"`
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	Subject  string    `json:"subject"`
	Run      string    `json:"run,omitempty"`
	Reason   string    `json:"reason"`
}

func deadLetterOf(l deadletter.Letter) deadLetter {
	return deadLetter{
		Letter:   l.Sequence,
		Time:     l.Time.UTC(),
		Consumer: l.Consumer,
		Stream:   l.Stream,
		Sequence: l.Original,
		Subject:  view.Printable(l.Subject),
		Run:      l.Run,
		Reason:   view.Printable(l.Reason),
	}
}

const noDeadLetters = "no dead letters"

// List is the list of dead letters.
func List(letters []deadletter.Letter) view.Result {
	list := make([]deadLetter, len(letters))
	for i, l := range letters {
		list[i] = deadLetterOf(l)
	}
	return view.NewResult(list, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, noDeadLetters)
			return
		}
		view.Table(w, list, "LETTER\tGIVEN UP\tBY\tSUBJECT\tREASON", func(l deadLetter) string {
			return fmt.Sprintf("%d\t%s\t%s\t%s\t%s", l.Letter, l.Time.Format(time.DateTime), l.Consumer, l.Subject, shorten(l.Reason))
		})
	})
}

// wholeLetter is a dead letter with everything that it holds, for scripts.
type wholeLetter struct {
	deadLetter
	Headers map[string][]string `json:"headers"`
	// Body is a body that is text, Bytes any other one.
	Body  string `json:"body,omitempty"`
	Bytes []byte `json:"body_base64,omitempty"`
	// Cut is the length of the whole body if only its start was stored.
	Cut int `json:"cut_from_bytes,omitempty"`
}

// Letter is one dead letter, with its headers and its body.
func Letter(l deadletter.Letter) view.Result {
	whole := wholeLetter{deadLetter: deadLetterOf(l), Headers: hideSecrets(l.Header), Cut: l.Cut}
	if utf8.Valid(l.Body) {
		whole.Body = string(l.Body)
	} else {
		whole.Bytes = l.Body
	}
	return view.NewResult(whole, func(w io.Writer) { writeLetter(w, whole, l.Body) })
}

func writeLetter(w io.Writer, l wholeLetter, body []byte) {
	fmt.Fprintf(w, "letter %d, given up by %s at %s\n", l.Letter, l.Consumer, l.Time.Format(time.DateTime))
	fmt.Fprintf(w, "reason: %s\nsubject: %s, message %d of %s\n", l.Reason, l.Subject, l.Sequence, l.Stream)
	for _, k := range slices.Sorted(maps.Keys(l.Headers)) {
		fmt.Fprintf(w, "header %s: %s\n", view.Printable(k), view.Printable(strings.Join(l.Headers[k], ", ")))
	}
	if l.Cut > 0 {
		fmt.Fprintf(w, "body, the first %d of %s; the whole one is gone:\n", len(body), view.Count(l.Cut, "byte"))
	} else {
		fmt.Fprintf(w, "body, %s:\n", view.Count(len(body), "byte"))
	}
	var indented bytes.Buffer
	switch {
	case json.Indent(&indented, body, "", "  ") == nil:
		fmt.Fprintln(w, view.Printable(indented.String()))
	case l.Bytes != nil:
		fmt.Fprintf(w, "%q\n", body)
	default:
		fmt.Fprintln(w, view.Printable(l.Body))
	}
}

// hideSecrets hides the headers that hold a credential by their name: the
// sender of the message may have sent one along.
func hideSecrets(h map[string][]string) map[string][]string {
	out := map[string][]string{}
	for k, v := range h {
		if secretname.MatchesHeader(k) {
			v = []string{"(hidden)"}
		}
		out[k] = v
	}
	return out
}

// Redriven is what became of dead letters that were redriven.
func Redriven(results []redrive.Result) view.Result {
	return view.NewResult(results, func(w io.Writer) {
		for _, r := range results {
			if r.Sequence > 0 {
				fmt.Fprintf(w, "letter %d redriven as message %d of %s, on %s\n", r.Letter, r.Sequence, r.Stream, r.Subject)
			}
		}
		if len(results) == 0 {
			fmt.Fprintln(w, noDeadLetters)
		}
	})
}

// Discarded names the dead letters that were discarded.
func Discarded(gone []uint64) view.Result {
	return view.NewResult(gone, func(w io.Writer) { fmt.Fprintf(w, "%s discarded\n", view.Count(len(gone), "dead letter")) })
}

// shorten fits a text into a line of a table.
func shorten(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
