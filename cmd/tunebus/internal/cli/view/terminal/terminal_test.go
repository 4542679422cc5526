package terminal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
)

// TestWriter: nothing that steers a terminal gets through, in whatever pieces it is
// written. The rest stays as it is.
func TestWriter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain\ttext\n":              "plain\ttext\n",
		"naïve 港 🚢":                  "naïve 港 🚢",
		"\x1b[2J":                    `\u001b[2J`,
		"a\rb\x00\x7f":               `a\u000db\u0000\u007f`,
		"\u009b31m":                  `\u009b31m`,
		"\x9b31m":                    `\x9b31m`,
		"\u202egnp.exe":              `\u202egnp.exe`,
		"a\u200fb\u061c\ufeff\u00ad": `a\u200fb\u061c\ufeff\u00ad`,
		"a\u2028b\u2029":             `a\u2028b\u2029`,
		"\U000e0041":                 `\udb40\udc41`,
		"می\u200cخواهم 👩\u200d🔬":     "می\u200cخواهم 👩\u200d🔬",
		"half of a character \xe6":   "half of a character ",
		terminal.Green + "green" + terminal.Plain: "green",
	} {
		for size := 1; size <= len(text); size++ {
			var out bytes.Buffer
			w := terminal.NewWriter(&out)
			for at := 0; at < len(text); at += size {
				if _, err := w.Write([]byte(text[at:min(at+size, len(text))])); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
}

// TestWriterKeepsJSON: JSON that goes through a writer holds the same values.
func TestWriterKeepsJSON(t *testing.T) {
	t.Parallel()
	value := "\x1b]0;x\x07 \u009b \u202e \U000e0041 \u2028 \x7f \n \t é"
	var out bytes.Buffer
	var back string
	if err := json.NewEncoder(terminal.NewWriter(&out)).Encode(value); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != value {
		t.Errorf("%q: %q, %v", out.String(), back, err)
	}
}

// TestInline: a name ends no line.
func TestInline(t *testing.T) {
	t.Parallel()
	if got := terminal.Inline("a\r\nb\tc\x1b"); got != `a\u000d\nb\tc\u001b` {
		t.Errorf("%q", got)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte("a\x1b[31m\x9b\xe6\xb8"), 2)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		var out bytes.Buffer
		w := terminal.NewWriter(&out)
		for at, step := 0, min(max(size, 1), len(text)+1); at < len(text); at += step {
			if n, err := w.Write(text[at:min(at+step, len(text))]); err != nil || n != min(step, len(text)-at) {
				t.Fatal(n, err)
			}
		}
		if got := out.Bytes(); !utf8.Valid(got) || terminal.Printable(string(got)) != string(got) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// narrow is a terminal of few characters.
type narrow struct {
	bytes.Buffer
	width int
}

func (n *narrow) Width() int { return n.width }

// TestWriteTable: columns stand below one another, whatever the width of their
// characters. Where they do not fit, each row has lines of its own.
func TestWriteTable(t *testing.T) {
	t.Parallel()
	table := func(width int) string {
		out := narrow{width: width}
		rows := [][]string{{"港の本", "a\nb", "success"}, {"e\x1b", "", "no"}}
		if err := terminal.WriteTable(terminal.NewWriter(&out), []string{"NAME", "NOTE", "STATUS"}, rows); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	wide := "NAME     NOTE  STATUS\n港の本   a\\nb  success\ne\\u001b        no\n"
	for _, width := range []int{200, 40, 22} {
		if got := table(width); got != wide {
			t.Errorf("%d characters:\n%s", width, got)
		}
	}
	for _, width := range []int{10, 15, 20} {
		if got := table(width); got != "NAME    港の本\nNOTE    a\\nb\nSTATUS  success\n\nNAME    e\\u001b\nSTATUS  no\n" {
			t.Errorf("%d characters:\n%s", width, got)
		}
	}
	if got := table(0); !strings.HasPrefix(got, "NAME  ") || got != wide {
		t.Errorf("an unknown width:\n%s", got)
	}
}

// TestWriteTableWithLongCells: a long last cell stands below its row, whole, and a column
// without a cell is left out.
func TestWriteTableWithLongCells(t *testing.T) {
	t.Parallel()
	const path = "/home/somebody/reports/01M8MH3HESP063FJP5TXVCBBC1/config.toml"
	for width, want := range map[int]string{
		0:  "RESULT       WHERE\nconfig.toml  " + path + "\nshort        a b\n",
		40: "RESULT       WHERE\nconfig.toml\n  " + path + "\nshort        a b\n",
		90: "RESULT       WHERE\nconfig.toml  " + path + "\nshort        a b\n",
	} {
		out := narrow{width: width}
		rows := [][]string{{"config.toml", path, ""}, {"short", "a b", ""}}
		if err := terminal.WriteTable(terminal.NewWriter(&out), []string{"RESULT", "WHERE", "ERROR"}, rows); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%d characters:\n%s", width, out.String())
		}
	}
}

// TestWriterKeepsItsError: a result that was not written whole is not taken for one.
func TestWriterKeepsItsError(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	w := terminal.NewWriter(failing{full})
	fmt.Fprintln(w, "a result")
	if !errors.Is(w.Err(), full) {
		t.Errorf("%v, want %v", w.Err(), full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
