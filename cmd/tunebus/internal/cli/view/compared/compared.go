// Package compared writes what differs between two runs, the first on the left and
// the second on the right.
//
//	return console.Print(compared.Runs(c))
package compared

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/comparison"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// Runs shows the comparison of two runs.
func Runs(c comparison.Comparison) view.Result {
	return view.NewResult(c, func(w io.Writer) {
		write(w, c)
	})
}

func write(w io.Writer, c comparison.Comparison) {
	for _, side := range []struct {
		letter string
		comparison.Side
	}{{"A", c.A}, {"B", c.B}} {
		took := ""
		if side.Seconds > 0 {
			took = " in " + view.Took(side.Seconds)
		}
		if side.Shortfall != "" {
			took += " (" + side.Shortfall + ")"
		}
		fmt.Fprintf(w, "%s  %s (%s): %s%s\n   asked for %s\n", side.letter, view.Inline(side.RunName), side.RunID, side.Status, took, side.RequestedAt.Local().Format(time.DateTime))
	}
	writeDifferences(w, "SPECIFICATION", c.Specification)
	writeDifferences(w, "INPUTS", c.Inputs)
	if len(c.Specification)+len(c.Inputs) == 0 {
		fmt.Fprintln(w, "\nthe specifications and the inputs are the same")
	}
	writeNumbers(w, "LOSS", c.Loss, view.Loss)
	writeNumbers(w, "SCORE", c.Scores, score)
	writeRows(w, c.Rows)
	for _, note := range c.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}

// writeDifferences writes values below one another, because they may be long.
func writeDifferences(w io.Writer, title string, list []comparison.Difference) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, d := range list {
		if len(d.A)+len(d.B)+len(d.Key) < 70 {
			fmt.Fprintf(w, "%s: %s -> %s\n", d.Key, orNone(d.A), orNone(d.B))
			continue
		}
		fmt.Fprintf(w, "%s\n  A %s\n  B %s\n", d.Key, digestBelow(d.A), digestBelow(d.B))
	}
}

// digestBelow has the digest behind other words on a line of its own, so that it fits into 80
// columns.
func digestBelow(text string) string {
	return strings.Replace(orNone(text), ", sha256 ", "\n    sha256 ", 1)
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// writeNumbers writes numbers of both runs, and their change with as many digits.
func writeNumbers(w io.Writer, title string, list []comparison.Numbers, form func(float64) string) {
	number := func(v *float64, form func(float64) string) string {
		if v == nil {
			return "-"
		}
		return form(*v)
	}
	view.Section(w, list, title+"\tA\tB\tCHANGE", func(n comparison.Numbers) string {
		form := form
		if title == "LOSS" && isWhole(n.A) && isWhole(n.B) { // such as a number of steps
			form = func(v float64) string { return fmt.Sprint(int64(v)) }
		}
		signed := func(v float64) string {
			if v < 0 {
				return form(v)
			}
			return "+" + form(v)
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s", n.Name, number(n.A, form), number(n.B, form), number(n.Change, signed))
	})
}

func isWhole(v *float64) bool { return v == nil || *v == math.Trunc(*v) }

func score(v float64) string { return fmt.Sprintf("%.3f", v) }

func writeRows(w io.Writer, rows *comparison.Rows) {
	if rows == nil {
		return
	}
	fmt.Fprintf(w, "\nROWS by %s: %s in both, %d better in B, %d worse, %d the same\n", rows.Metric, view.Count(rows.Compared, "row"), rows.Better, rows.Worse, rows.Same)
	if rows.OnlyA+rows.OnlyB+rows.Unscored > 0 {
		fmt.Fprintf(w, "not compared: %d in A alone, %d in B alone, %d without the score in one of them\n", rows.OnlyA, rows.OnlyB, rows.Unscored)
	}
	for _, r := range rows.Changed {
		where := fmt.Sprintf("row %d", r.A)
		if r.A != r.B {
			where = fmt.Sprintf("row %d of A, %d of B", r.A, r.B)
		}
		fmt.Fprintf(w, "\n%s: %.3f -> %.3f (%+.3f)\n", where, r.ScoreA, r.ScoreB, r.Change)
		fmt.Fprintf(w, "  question  %s\n  truth     %s\n  A         %s\n  B         %s\n", short(r.Question), short(r.GroundTruth), short(r.AnswerA), short(r.AnswerB))
	}
}

// short fits a text into the rest of a line of 80 columns.
func short(text string) string {
	const most = 68
	text = strings.Join(strings.Fields(text), " ")
	return runewidth.Truncate(text, most, "…")
}
