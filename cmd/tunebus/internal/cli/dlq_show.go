package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// shownLetter is a dead letter with everything that it holds, for scripts.
type shownLetter struct {
	deadLetter
	Headers map[string][]string `json:"headers"`
	// Body is the body as text, or Bytes where it is none.
	Body  string `json:"body,omitempty"`
	Bytes []byte `json:"body_base64,omitempty"`
	// Cut is the length of the whole body where only its start was kept.
	Cut int `json:"cut_from_bytes,omitempty"`
}

func (a *app) dlqShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show LETTER", Short: "Show a dead letter: why, its headers and its body", Args: exactlyOne("LETTER"),
		RunE: a.with(func(ctx context.Context, b *conn.Conn, args []string) error {
			n, err := new(chosen).numbers(args)
			if err != nil {
				return err
			}
			l, err := letter(ctx, b, n[0])
			if err != nil {
				return err
			}
			s := shownLetter{deadLetter: deadLetterOf(l), Headers: withoutSecrets(l.Header), Cut: l.Cut}
			if utf8.Valid(l.Body) {
				s.Body = string(l.Body)
			} else {
				s.Bytes = l.Body
			}
			return a.result(s, func(w io.Writer) { writeLetter(w, s, l.Body) })
		}),
	}
}

func writeLetter(w io.Writer, s shownLetter, body []byte) {
	fmt.Fprintf(w, "letter %d, given up by %s at %s\n", s.Letter, s.Consumer, s.Time.Format(time.DateTime))
	fmt.Fprintf(w, "reason: %s\nsubject: %s, message %d of %s\n", s.Reason, s.Subject, s.Sequence, s.Stream)
	for _, k := range slices.Sorted(maps.Keys(s.Headers)) {
		fmt.Fprintf(w, "header %s: %s\n", printable(k), printable(strings.Join(s.Headers[k], ", ")))
	}
	if s.Cut > 0 {
		fmt.Fprintf(w, "body, the first %d of %d bytes; the whole one is gone:\n", len(body), s.Cut)
	} else {
		fmt.Fprintf(w, "body, %d bytes:\n", len(body))
	}
	var indented bytes.Buffer
	switch {
	case json.Indent(&indented, body, "", "  ") == nil:
		fmt.Fprintln(w, printable(indented.String()))
	case s.Bytes != nil:
		fmt.Fprintf(w, "%q\n", body)
	default:
		fmt.Fprintln(w, printable(s.Body))
	}
}

// withoutSecrets hides the headers that hold a credential by their name: the
// letter may be of somebody who sent one along.
func withoutSecrets(h map[string][]string) map[string][]string {
	out := map[string][]string{}
	for k, v := range h {
		if name := strings.ToUpper(k); looksSecret(name) || strings.Contains(name, "AUTHORIZATION") || strings.Contains(name, "COOKIE") {
			v = []string{"(hidden)"}
		}
		out[k] = v
	}
	return out
}
