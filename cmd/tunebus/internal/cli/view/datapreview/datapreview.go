// Package datapreview renders a look at a data set: its counts, the lengths of its
// sequences, and its first rows with the part apart that counts in the loss.
package datapreview

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preview"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
)

// marks set the part of a text apart that counts in the loss.
type marks struct{ begin, end string }

var (
	colour   = marks{terminal.Green, terminal.Plain}
	brackets = marks{"[[", "]]"}
)

// marksFor returns colours where they may be used, and else brackets.
func marksFor(w io.Writer) marks {
	if terminal.Colours(w) {
		return colour
	}
	return brackets
}

// Result is a look at a data set.
func Result(p preview.Preview) view.Result {
	return view.NewResult(p, func(w io.Writer) { writePreview(w, p, marksFor(w)) })
}

func writePreview(w io.Writer, p preview.Preview, m marks) {
	fmt.Fprintf(w, "%s, read as %s\n", view.Printable(p.Source), p.Key)
	fmt.Fprintf(w, "shape %s, format %s, %s, %s bytes\n\n", p.Shape, p.Format, chosen(p), events.Count(p.Bytes))
	writeCounts(w, p)
	if p.Lengths != nil {
		writeHistogram(w, p)
	}
	for _, n := range p.Warnings {
		fmt.Fprintf(w, "\nwarning: %s\n", n)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "\nnote: %s\n", n)
	}
	if p.Failure != "" {
		fmt.Fprintf(w, "\nfailure: %s\n", p.Failure)
	}
	for _, r := range p.Rows {
		writeRow(w, r, m)
	}
	if len(p.Rows) > 0 && p.Lengths == nil {
		fmt.Fprintln(w, "\nno model is named, so the rows are not rendered: --model FOLDER_OR_ID, or a specification with fine_tuner.base_model_id")
	}
}

// chosen says what of a folder or a repository was read.
func chosen(p preview.Preview) string {
	out := view.Count(len(p.Files), "file")
	if p.Config != "" {
		out = "configuration " + p.Config + ", " + out
	}
	if p.Split != "" {
		out = "split " + p.Split + ", " + out
	}
	return out
}

func writeCounts(w io.Writer, p preview.Preview) {
	c := p.Counts
	answer := "WITHOUT ANSWER"
	if strings.HasPrefix(p.Key, "inferencer.") {
		answer = "WITHOUT TRUTH"
	}
	type counted struct {
		header string
		n      int64
		always bool
	}
	var headers, numbers []string
	for _, one := range []counted{
		{"ROWS READ", c.Read, true},
		{"USED", c.Rows, true},
		{answer, c.WithoutAnswer, true},
		{"DROPPED", c.Dropped, true},
		{"CUT IN PROMPT", c.CutInPrompt, p.Lengths != nil},
		{"CUT IN ANSWER", c.CutInAnswer, p.Lengths != nil},
		{"EXAMPLES", c.Examples, c.Examples != 0 && c.Examples != c.Rows},
		{"IMAGES", c.Images, c.Images > 0},
	} {
		if one.always {
			headers, numbers = append(headers, one.header), append(numbers, events.Count(one.n))
		}
	}
	view.Table(w, []string{strings.Join(numbers, "\t")}, strings.Join(headers, "\t"), func(line string) string { return line })
}

// barWidth is the longest bar of the histogram.
const barWidth = 40

func writeHistogram(w io.Writer, p preview.Preview) {
	l := p.Lengths
	lengths := fmt.Sprintf("%d to %d, %.0f in the mean", l.Shortest, l.Longest, l.Mean())
	if l.Shortest == l.Longest {
		lengths = fmt.Sprint(l.Longest)
	}
	fmt.Fprintf(w, "\ntokens of a sequence: %s; at most %d are kept\n", lengths, p.Limit)
	most := int64(1)
	for _, b := range p.Histogram {
		most = max(most, b.Sequences)
	}
	view.Table(w, p.Histogram, "TOKENS\tSEQUENCES\t", func(b preview.Bucket) string {
		bar := strings.Repeat("#", int((b.Sequences*barWidth+most-1)/most))
		tokens := fmt.Sprint(b.From)
		if b.To > b.From {
			tokens += fmt.Sprintf("-%d", b.To)
		}
		return fmt.Sprintf("%s\t%s\t%s", tokens, events.Count(b.Sequences), bar)
	})
}

func writeRow(w io.Writer, r preview.Row, m marks) {
	fmt.Fprintf(w, "\n%s %s %d", r.File, cmp.Or(r.Unit, "line"), r.Line)
	if r.Images > 0 {
		fmt.Fprintf(w, ", %s", view.Count(r.Images, "image"))
	}
	if len(r.Sequences) > 1 {
		fmt.Fprintf(w, ", %d examples", len(r.Sequences))
	}
	fmt.Fprintln(w)
	for _, t := range r.Turns {
		text := t.Text
		if t.Counted {
			text = m.begin + text + m.end
		}
		if t.Role != "" {
			text = t.Role + ": " + text
		}
		fmt.Fprintln(w, text)
	}
	for i, s := range r.Sequences {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, sequence(s, m))
		fmt.Fprintf(w, "  (%s, %d count", view.Count(s.Tokens, "token"), len(s.CountedTokens))
		if lost := s.Tokens - len(s.IDs); lost > 0 {
			fmt.Fprintf(w, "; cut: %d are lost", lost)
		}
		fmt.Fprintln(w, ")")
	}
	for _, t := range r.Truths {
		fmt.Fprintf(w, "  ground truth: %s\n", t)
	}
}

// sequence is a text as the model sees it, with the parts that count set apart.
func sequence(s preview.Sequence, m marks) string {
	from, to := 0, len(s.Text)
	if s.Kept != nil {
		from, to = s.Kept[0], s.Kept[1]
	}
	var out strings.Builder
	at := from
	for _, span := range s.Counted {
		begin, end := max(span[0], at), min(span[1], to)
		if begin >= end {
			continue
		}
		out.WriteString(s.Text[at:begin])
		out.WriteString(m.begin + s.Text[begin:end] + m.end)
		at = end
	}
	if at < to {
		out.WriteString(s.Text[at:to])
	}
	return out.String()
}
