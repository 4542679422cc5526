package terminal

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// gap parts the columns of a table.
const gap = 2

// WriteTable writes rows of cells below a header, with the columns below one
// another. Where they do not fit beside one another into the lines of a terminal,
// each row is written as lines of its own, a line for each cell. The last column
// may be wider: a terminal wraps it.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
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
	if limit, _ := Size(w); limit > 0 && total > limit+gap {
		writeRecords(&out, header, rows)
	} else {
		for _, row := range all {
			writeCells(&out, row, widths)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
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

func writeCells(out *strings.Builder, row []string, widths []int) {
	var line strings.Builder
	for i, cell := range row {
		line.WriteString(cell)
		if i < len(row)-1 {
			line.WriteString(strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell)+gap))
		}
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
