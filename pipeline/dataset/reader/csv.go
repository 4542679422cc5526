package reader

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// csvRows reads CSV and TSV files, whose first row has the names of the columns.
type csvRows struct {
	text   *textfile.File
	parser csvParser
	line   int      // of the next record
	header []string // with the names that are empty
	names  []string // without them
	wanted []bool   // for each cell of a row
}

func openCSV(t *textfile.File, format Format, delimiter rune) (records, error) {
	r := &csvRows{text: t, line: 1}
	if delimiter > 0x7f || delimiter == '"' || delimiter == '\n' || delimiter == '\r' {
		return nil, fault.At(0, "%q cannot separate cells", delimiter)
	}
	r.parser.delimiter = byte(delimiter)
	if delimiter == 0 {
		var err error
		if r.parser.delimiter, err = findDelimiter(t, format); err != nil {
			return nil, err
		}
	}
	header, line, err := r.record()
	if err == io.EOF {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	for _, c := range header {
		r.header = append(r.header, string(c.text))
	}
	r.names, err = checkHeader(r.header, line)
	if err != nil {
		return nil, err
	}
	r.selectColumns(r.names)
	return r, nil
}

// checkHeader returns the names of the columns that have one. Tools that write an
// index write no name above it.
func checkHeader(header []string, line int) (names []string, err error) {
	for i, name := range header {
		if name == "" {
			continue
		}
		if slices.Contains(header[:i], name) {
			return nil, fault.At(line, "the column %q occurs twice in the header", name)
		}
		names = append(names, name)
	}
	if names == nil {
		return nil, fault.At(line, "the header has no names of columns")
	}
	return names, nil
}

func (r *csvRows) columns() []string { return r.names }

func (r *csvRows) selectColumns(names []string) {
	r.wanted = make([]bool, len(r.header))
	for i, name := range r.header {
		r.wanted[i] = name != "" && slices.Contains(names, name)
	}
}

func (r *csvRows) close() error { return r.text.Close() }

func (r *csvRows) next() (Record, error) {
	cells, line, err := r.record()
	if err != nil {
		return Record{}, err
	}
	if len(cells) != len(r.header) {
		return Record{}, fault.At(line, "the row has %s, the header has %d; a cell that holds %q or a quote stands in double quotes",
			countCells(len(cells)), len(r.header), r.parser.delimiter)
	}
	record := Record{Line: line, Fields: make([]value.Field, 0, len(r.names))}
	for i, c := range cells {
		if !r.wanted[i] {
			continue
		}
		f := value.Field{Name: r.header[i]}
		if len(c.text) > 0 || c.quoted {
			f.Value = value.OfText(string(c.text))
		}
		record.Fields = append(record.Fields, f)
	}
	return record, nil
}

func countCells(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

// record returns the cells of the next row that is not blank, and its first line.
func (r *csvRows) record() ([]cell, int, error) {
	for {
		cells, size, err := r.parse()
		if err != nil {
			return nil, 0, err
		}
		if size == 0 {
			return nil, 0, io.EOF
		}
		line := r.line
		r.line += countLines(r.text.Buffered()[:size])
		r.text.Consume(size)
		if len(cells) > 1 || cells[0].quoted || strings.TrimSpace(string(cells[0].text)) != "" {
			return cells, line, nil
		}
	}
}

// parse parses the row at the start of the buffer. size is 0 at the end of the file.
func (r *csvRows) parse() (cells []cell, size int, err error) {
	final := false
	for {
		text := r.text.Buffered()
		cells, size, err = r.parser.parse(text, final)
		if !errors.Is(err, errIncomplete) || final {
			break
		}
		// A row is parsed from its start again, so the text is doubled before.
		for more := max(1, 2*len(text)); len(r.text.Buffered()) < more && !final; {
			if err := r.text.Fill(); err == io.EOF {
				final = true
			} else if err != nil {
				return nil, 0, err
			}
		}
	}
	if broken, ok := errors.AsType[*csvFault](err); ok {
		line := r.line + countLines(r.text.Buffered()[:broken.at])
		return nil, 0, fault.At(line, "%w", err)
	}
	return cells, size, err
}
