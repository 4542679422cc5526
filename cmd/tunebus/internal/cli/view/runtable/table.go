package runtable

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
)

// Table writes a list of runs.
type Table struct {
	out    *bufio.Writer
	asJSON bool
	// width is that of the terminal; 0 if there is none, or if it is wide enough for
	// all columns.
	width  int
	widths [6]int // of the columns up to the name
	rows   int
}

// wideEnough is a terminal that has room for all columns of most runs.
const wideEnough = 150

// New returns a table, as text for people or as JSON.
func New(w io.Writer, asJSON bool) *Table {
	const atOnce = 64 << 10 // bytes
	t := &Table{out: bufio.NewWriterSize(w, atOnce), asJSON: asJSON}
	if width, _ := terminal.Size(w); width > 0 && width < wideEnough {
		t.width = width
	}
	return t
}

// Write writes the next runs. The columns get their widths from the first ones.
func (t *Table) Write(rows []Row) error {
	for _, r := range rows {
		if t.asJSON {
			if err := t.writeJSON(r); err != nil {
				return err
			}
			continue
		}
		if t.rows == 0 {
			t.begin(rows)
		}
		t.rows++
		t.line(r)
	}
	return t.out.Flush()
}

// Rows is how many runs were written.
func (t *Table) Rows() int { return t.rows }

// End ends the list. none is what a list without runs says to people.
func (t *Table) End(none string) error {
	switch {
	case t.asJSON && t.rows == 0:
		fmt.Fprintln(t.out, "[]")
	case t.asJSON:
		fmt.Fprint(t.out, "\n]\n")
	case t.rows == 0:
		fmt.Fprintln(t.out, none)
	}
	return t.out.Flush()
}

func (t *Table) writeJSON(r Row) error {
	text, err := r.json()
	if err != nil {
		return err
	}
	before := ",\n  "
	if t.rows == 0 {
		before = "[\n  "
	}
	t.rows++
	fmt.Fprint(t.out, before)
	_, err = t.out.Write(text)
	return err
}

// titles are the names of the columns; those behind the fourth stand on a second line
// where the terminal is narrow.
var titles = [6]string{"RUN", "WHEN", "TOOK", "STATUS", "SCORE", "MODEL"}

func columns(r Row) [6]string {
	return [6]string{r.RunID, when(r.RequestedAt), r.span(), r.status(), r.score(), r.model()}
}

func (t *Table) begin(rows []Row) {
	for i, title := range titles {
		t.widths[i] = len(title)
	}
	for _, r := range rows {
		for i, text := range columns(r) {
			t.widths[i] = max(t.widths[i], runewidth.StringWidth(text))
		}
	}
	if t.width > 0 {
		t.write(titles[:4], "")
		return
	}
	t.write(titles[:], "NAME\tLABELS AND MORE")
}

// line writes a run: in one line, or in two where the terminal is narrow.
func (t *Table) line(r Row) {
	c := columns(r)
	name := cell(r.RunName)
	if t.width == 0 {
		t.write(c[:], name+"\t"+strings.Join(r.about(), ", "))
		return
	}
	t.write(c[:4], "")
	var parts []string
	for _, part := range append([]string{c[4], c[5], name}, r.about()...) {
		if part != "" && part != "-" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		fmt.Fprintln(t.out, cut("  "+strings.Join(parts, ", "), t.width))
	}
}

// write writes columns and what follows them, in which a tab parts two more.
func (t *Table) write(columns []string, rest string) {
	var b strings.Builder
	for i, text := range columns {
		b.WriteString(text)
		b.WriteString(strings.Repeat(" ", max(0, t.widths[i]-runewidth.StringWidth(text))+2))
	}
	const widthOfName = 28
	name, labels, _ := strings.Cut(rest, "\t")
	if name != "" || labels != "" {
		b.WriteString(runewidth.FillRight(name, widthOfName) + "  " + labels)
	}
	line := strings.TrimRight(b.String(), " ")
	if t.width > 0 {
		line = cut(line, t.width)
	}
	fmt.Fprintln(t.out, line)
}

// cut fits a line into the width of a terminal, and shows that it was cut.
func cut(line string, width int) string {
	return runewidth.Truncate(line, width, "…")
}
