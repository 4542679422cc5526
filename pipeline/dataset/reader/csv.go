package reader

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/nameset"
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
	key    string   // that sets the delimiter
}

func openCSV(t *textfile.File, format Format, o Options) (records, error) {
	r := &csvRows{text: t, line: 1, key: o.DelimiterKey}
	delimiter := r.firstLine()
	switch {
	case o.Delimiter != 0:
		delimiter = o.Delimiter
	case delimiter == 0:
		delimiter = findDelimiter(t, format)
	}
	r.parser.delimiter = delimiter
	header, line, err := r.record()
	if errors.Is(err, io.EOF) {
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

// said matches the line with which Excel is told the delimiter.
var said = regexp.MustCompile(`^"?sep=([^"\r\n])"?\r?\n`)

// firstLine returns the delimiter that the first line says, which it consumes; 0 if
// the first line says none.
func (r *csvRows) firstLine() byte {
	fillSample(r.text)
	line := said.FindSubmatch(r.text.Buffered())
	if line == nil || line[1][0] >= utf8.RuneSelf {
		return 0
	}
	r.text.Consume(len(line[0]))
	r.line++
	return line[1][0]
}

// checkHeader returns the names of the columns that have one. Tools that write an
// index write no name above it.
func checkHeader(header []string, line int) (names []string, err error) {
	seen := nameset.Set{}
	for _, name := range header {
		if name == "" {
			continue
		}
		if !seen.Add(name) {
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
	wanted := nameset.Of(names)
	for i, name := range r.header {
		r.wanted[i] = name != "" && wanted[name]
	}
}

func (r *csvRows) close() error { return r.text.Close() }

func (r *csvRows) next() (Record, error) {
	cells, line, err := r.record()
	if err != nil {
		return Record{}, err
	}
	if len(cells) != len(r.header) {
		return Record{}, fault.At(line, "the row has %s, the header has %d; a cell that holds %q or a quote stands in double quotes, and %s",
			countCells(len(cells)), len(r.header), r.parser.delimiter, r.another())
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

// another says how to name another delimiter.
func (r *csvRows) another() string {
	if c := LooksDelimited(r.header[0]); len(r.header) == 1 && c != 0 {
		return fmt.Sprintf("%s = %q may be meant", r.key, string(rune(c)))
	}
	return r.key + " names another delimiter"
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
			if err := r.text.Fill(); errors.Is(err, io.EOF) {
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
