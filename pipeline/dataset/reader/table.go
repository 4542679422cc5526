package reader

import "github.com/tunebus/tunebus/pipeline/dataset/value"

// tableFile is a file that has all names of its columns at its start.
type tableFile interface {
	Columns() []string
	Select(names []string)
	// Next returns the number of the row and its fields, or io.EOF.
	Next() (row int, fields []value.Field, err error)
	Close() error
}

// table reads the records of a [tableFile].
type table struct{ file tableFile }

func (t table) columns() []string            { return t.file.Columns() }
func (t table) selectColumns(names []string) { t.file.Select(names) }
func (t table) close() error                 { return t.file.Close() }

// others are the names of further tables that the file has.
func (t table) others() []string {
	if w, ok := t.file.(interface{ Others() []string }); ok {
		return w.Others()
	}
	return nil
}

func (t table) next() (Record, error) {
	row, fields, err := t.file.Next()
	return Record{Line: row, Fields: fields}, err
}
