// Package serving shows what a server of models does: where it is when it begins, each
// request for scripts, and how it ends.
package serving

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Ready is a server that takes requests.
type Ready struct {
	// URL is the base address that clients of OpenAI's API want.
	URL string
	// Models are the names, that to show first.
	Models []string
	// Key is what a shell makes the key of in the example; empty: the server wants none.
	// KeySaid is what the example needs for that; empty: nothing.
	Key, KeySaid string
	// Parallel and Queue are how many requests are answered at once, and wait.
	Parallel, Queue int
	// MaxLength is the most tokens of a prompt and its answer, and CacheBytes the memory
	// that keys and values of all open requests take at most.
	MaxLength  int
	CacheBytes int64
}

// Request is one that has ended.
type Request struct {
	ID           string  `json:"id"`
	Path         string  `json:"path"`
	Model        string  `json:"model,omitempty"`
	Status       int     `json:"status"`
	Stream       bool    `json:"stream"`
	PromptTokens int     `json:"prompt_tokens"`
	Tokens       int     `json:"completion_tokens"`
	FinishReason string  `json:"finish_reason,omitempty"`
	Error        string  `json:"error,omitempty"`
	Seconds      float64 `json:"seconds"`
}

// Screen shows a server. It is safe for concurrent use.
type Screen struct{ console *view.Console }

// New returns a screen.
func New(c *view.Console) Screen { return Screen{c} }

// print prints a result: as a line of JSON with its kind, or for people.
func (s Screen) print(kind string, value any, text func(w io.Writer)) error {
	return s.console.Stream(func(w io.Writer, asJSON bool) error {
		if !asJSON {
			if text != nil {
				text(w)
			}
			return s.console.Out().Err()
		}
		fields, err := json.Marshal(value)
		if err != nil {
			return err
		}
		line := fmt.Sprintf(`{"event":%q`, kind)
		if rest := strings.TrimPrefix(string(fields), "{"); rest != "}" {
			line += "," + rest
		} else {
			line += rest
		}
		_, err = io.WriteString(w, line+"\n") // one write, since requests end on many goroutines
		return err
	})
}

// Ready says where the server is.
func (s Screen) Ready(r Ready) error {
	value := struct {
		URL        string   `json:"url"`
		Models     []string `json:"models"`
		Parallel   int      `json:"parallel"`
		Queue      int      `json:"queue"`
		MaxLength  int      `json:"max_sequence_length"`
		CacheBytes int64    `json:"cache_bytes"`
	}{r.URL, r.Models, r.Parallel, r.Queue, r.MaxLength, r.CacheBytes}
	return s.print("ready", value, func(w io.Writer) {
		fmt.Fprintf(w, "ready: %s, with %s\n", r.URL, view.Printable(strings.Join(r.Models, ", ")))
		fmt.Fprintf(w, "%s answered at once, %d wait; each has up to %s, and the keys and values of all take up to %s\n",
			view.Count(r.Parallel, "request"), r.Queue, view.Count(r.MaxLength, "token"), view.ByteSize(r.CacheBytes))
		fmt.Fprintf(w, "  %s\n", r.example())
		if r.KeySaid != "" {
			fmt.Fprintf(w, "  (%s)\n", view.Printable(r.KeySaid))
		}
	})
}

// example is a command that asks the server.
func (r Ready) example() string {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body, err := json.Marshal(struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}{r.Models[0], []message{{"user", "Who are you?"}}})
	if err != nil {
		return ""
	}
	key := ""
	if r.Key != "" {
		key = fmt.Sprintf(` -H "Authorization: Bearer %s"`, r.Key)
	}
	return fmt.Sprintf("curl %s/chat/completions -H 'Content-Type: application/json'%s -d %s", r.URL, key, shellquote.Word(string(body)))
}

// Request shows a request to scripts; people see it with --verbose, in the log.
func (s Screen) Request(r Request) {
	if s.console.JSON {
		_ = s.print("request", r, nil) // the server goes on without its reader
	}
}

// Lost says how many lines had no room, because nobody read them.
func (s Screen) Lost(lines int64) {
	if s.console.JSON {
		_ = s.print("lost", map[string]int64{"lines": lines}, nil) // the server goes on without its reader
	}
}

// Stopping says that the server takes no more requests, and what it waits for.
func (s Screen) Stopping(open int, grace string) {
	s.console.Screen().Return()
	switch {
	case s.console.JSON:
		_ = s.print("stopping", map[string]int{"open": open}, nil) // it stops in any case
	case open == 0:
		s.console.Say("stopping")
	default:
		s.console.Say("stopping: %s %s open and may go on for %s; Ctrl-C once more waits for nothing", view.Count(open, "request"), are(open), grace)
	}
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// Stopped says how many requests did not end in time.
func (s Screen) Stopped(cut int) {
	if s.console.JSON {
		_ = s.print("stopped", map[string]int{"cut": cut}, nil) // nothing follows
	} else if cut > 0 {
		s.console.Say("stopped: %s did not end within --grace, and got no whole answer", view.Count(cut, "request"))
	}
}
