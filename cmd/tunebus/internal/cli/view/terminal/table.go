package terminal

import (
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// gap parts the columns of a table.
const gap = 2

// WriteTable writes rows of cells below a header, with the columns below one another, and
// without the columns that have no cell. Where a row does not fit into the line of a terminal
// because of a long last cell, this stands below it. Where the others do not fit either, each
// row is written as lines of its own, a line for each cell.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	header, rows = withoutEmpty(header, rows)
	all := append([][]string{header}, rows...)
	for _, row := range all {
		for i, cell := range row {
			row[i] = Inline(cell)
		}
	}
	widths := columns(all)
	total := 0
	for _, width := range widths {
		total += width + gap
	}
	var out strings.Builder
	limit, _ := Size(w)
	last := 0
	for _, row := range all {
		if len(row) > 0 {
			last = max(last, runewidth.StringWidth(row[len(row)-1]))
		}
	}
	const short = 2 // a last cell that takes less than such a part of the line is one like the others
	if limit > 0 && (total > limit+gap || total+last > limit && last <= limit/short) {
		writeRecords(&out, header, rows)
	} else {
		for _, row := range all {
			writeCells(&out, row, widths, limit)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// withoutEmpty leaves out the columns in which no row has a text.
func withoutEmpty(header []string, rows [][]string) ([]string, [][]string) {
	filled := func(i int) bool {
		return slices.ContainsFunc(rows, func(row []string) bool { return i < len(row) && row[i] != "" })
	}
	kept := make([][]string, 1+len(rows))
	for i := range header {
		if !filled(i) {
			continue
		}
		kept[0] = append(kept[0], header[i])
		for n, row := range rows {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			kept[n+1] = append(kept[n+1], cell)
		}
	}
	return kept[0], kept[1:]
}

// columns are the widths of the columns but the last one.
func columns(rows [][]string) (widths []int) {
	for _, row := range rows {
		for i, cell := range row[:max(len(row)-1, 0)] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	return widths
}

// writeCells writes a row. A last cell for which the line has no room stands below it, and a
// terminal wraps what is longer than that line, too: so it can be copied.
func writeCells(out *strings.Builder, row []string, widths []int, limit int) {
	var line strings.Builder
	width := 0
	for i, cell := range row {
		if i < len(row)-1 {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell)+gap))
			width += widths[i] + gap
			continue
		}
		if limit > 0 && i > 0 && width+runewidth.StringWidth(cell) > limit {
			out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
			line.Reset()
			line.WriteString(strings.Repeat(" ", gap))
		}
		line.WriteString(cell)
	}
	out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// writeRecords writes a line for each cell that is not empty, with an empty line
// between two rows.
func writeRecords(out *strings.Builder, header []string, rows [][]string) {
	width := 0
	for _, name := range header {
		width = max(width, runewidth.StringWidth(name))
	}
	for n, row := range rows {
		if n > 0 {
			out.WriteString("\n")
		}
		for i, cell := range row {
			name := ""
			if i < len(header) {
				name = header[i]
			}
			if cell != "" {
				out.WriteString(name + strings.Repeat(" ", width-runewidth.StringWidth(name)+gap) + cell + "\n")
			}
		}
	}
}
