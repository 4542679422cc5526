package reader

import (
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
)

// LooksDelimited finds a character that seems to separate the cells of a header that
// was read as one cell. It is 0 if there is none.
func LooksDelimited(header string) byte {
	for _, c := range []byte("^~:#*!&@%$+=/\\\x1f\x01\x02\x1e") {
		if strings.IndexByte(header, c) >= 0 {
			return c
		}
	}
	return 0
}

const (
	sampleSize = 64 << 10
	sampleRows = 20
)

// fillSample reads the first rows. Where they cannot be read, reading the records
// says so.
func fillSample(t *textfile.File) {
	for len(t.Buffered()) < sampleSize {
		if err := t.Fill(); err != nil {
			return
		}
	}
}

// findDelimiter finds the delimiter in the first rows. It is the one with the most
// cells in the header of those with which all rows have the same number of cells;
// if there is none, the one with the most cells in the header. Ties and files
// of one column take the one that the format is named after.
func findDelimiter(t *textfile.File, format Format) byte {
	// A short file has been read to its end.
	final := len(t.Buffered()) < sampleSize
	candidates := []byte(",;\t|")
	if format == TSV {
		candidates = []byte("\t,;|")
	}
	best, bestCells, bestEven := candidates[0], 1, false
	for _, d := range candidates {
		cells, even := countSample(t.Buffered(), d, final)
		if cells > 1 && (even && !bestEven || even == bestEven && cells > bestCells) {
			best, bestCells, bestEven = d, cells, even
		}
	}
	return best
}

// countSample returns the number of cells of the header, and whether the rows have
// as many.
func countSample(text []byte, delimiter byte, final bool) (cells int, even bool) {
	p := csvParser{delimiter: delimiter}
	for range sampleRows {
		row, size, err := p.parse(text, final)
		if err != nil || size == 0 {
			break // the sample may end in the middle of a row
		}
		text = text[size:]
		switch {
		case len(row) == 1 && len(row[0].text) == 0:
		case cells == 0:
			cells = len(row)
		case cells != len(row):
			return cells, false
		}
	}
	return cells, true
}
