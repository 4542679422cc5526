package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tunebus/tunebus/events"
)

// Source is a place to read data from.
type Source struct {
	// Path is a file or a folder.
	Path string
	// Split is the split to read if the file names of a folder show several
	// splits. If they show one or none, Split has no effect. Empty means no
	// particular split.
	Split Split
}

// Columns are the names of the columns to read.
type Columns struct {
	// Question is required.
	Question string
	// Answer is the reference answer; empty if it is not needed.
	Answer string
	// System is the system prompt of each row; empty if there is none.
	System string
	// SystemOverride is the system prompt of all rows. If it is not empty,
	// System has no effect.
	SystemOverride string
	// Extra are columns for [Row.Fields]. They do not have to exist.
	Extra []string
}

// Row is one question of a data set.
type Row struct {
	Index    int // from 0, over all files
	Question string
	Answer   string
	System   string
	// Fields are the values of [Columns.Extra] that the row has; nil if none.
	Fields map[string]string
}

// Info describes a data set.
type Info struct {
	Rows int
	// SHA256 identifies the content, in hexadecimal: the digest of a single
	// file, or the digest of the output of sha256sum for several files (digest,
	// two spaces, name relative to the folder, line feed).
	SHA256  string
	Bytes   int64    // of all files, as stored
	Files   []string // relative to the folder, with "/"; sorted
	Columns []string // of all files, in the order in which they occur
	Format  Format
}

// Event returns the description of the data set for events. key is the key of the
// specification that named the data set.
func (i Info) Event(key string) events.Dataset {
	return events.Dataset{Key: key, SHA256: i.SHA256, Size: i.Bytes, Rows: int64(i.Rows)}
}

// Dataset is a data set that can be read to its end. It has no open files and no
// rows in memory, and may be used concurrently.
type Dataset struct {
	files   []file
	columns Columns
	want    []string // the columns to read, see wantedColumns
	info    Info
}

// Open finds the files and reads them once to the end. The errors are [ErrEmpty], [ErrUnknownFormat], [*MissingColumnError],
// [*MissingSplitError], [*RowError] and those of the file system.
func Open(ctx context.Context, src Source, columns Columns) (*Dataset, error) {
	d, err := open(ctx, src, columns)
	if err != nil {
		return nil, fmt.Errorf("open data set %s: %w", src.Path, err)
	}
	return d, nil
}

func open(ctx context.Context, src Source, columns Columns) (*Dataset, error) {
	if columns.Question == "" {
		return nil, errors.New("no question column is named")
	}
	if columns.SystemOverride != "" {
		columns.System = ""
	}
	files, err := findSource(src)
	if err != nil {
		return nil, err
	}
	d := &Dataset{files: files, columns: columns, want: wantedColumns(columns)}
	d.info.Format = files[0].format
	for _, f := range files {
		if err := d.inspect(ctx, f); err != nil {
			return nil, err
		}
	}
	if d.info.Rows == 0 {
		return nil, ErrEmpty
	}
	d.info.SHA256, d.info.Bytes, err = digest(ctx, files)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// inspect reads a file to its end. If a column is missing, it returns that, and
// not the error in the first row that is a consequence of it.
func (d *Dataset) inspect(ctx context.Context, f file) error {
	var firstErr error
	rows := 0
	have, err := f.read(ctx, d.want, func(line int, values []value) error {
		rows++
		if firstErr == nil && !values[0].present {
			firstErr = &RowError{File: f.path, Line: line, Err: fmt.Errorf("column %q has no value", d.columns.Question)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A file without rows may have no columns. The other files may have rows.
	if rows > 0 {
		for _, column := range []string{d.columns.Question, d.columns.Answer, d.columns.System} {
			if column != "" && !slices.Contains(have, column) {
				return &MissingColumnError{File: f.path, Column: column, Have: have}
			}
		}
	}
	if firstErr != nil {
		return firstErr
	}
	d.info.Rows += rows
	d.info.Files = append(d.info.Files, f.name)
	for _, column := range have {
		if !slices.Contains(d.info.Columns, column) {
			d.info.Columns = append(d.info.Columns, column)
		}
	}
	return nil
}

// wantedColumns returns question, answer, system and the extra columns, in this
// order.
func wantedColumns(c Columns) []string {
	return append([]string{c.Question, c.Answer, c.System}, c.Extra...)
}

// Info describes the data set at the time of [Open].
func (d *Dataset) Info() Info {
	info := d.info
	info.Files = slices.Clone(info.Files)
	info.Columns = slices.Clone(info.Columns)
	return info
}

// errStop stops reading a file when the caller of Rows stops.
var errStop = errors.New("no more rows are wanted")

// Rows iterates over the rows, each time from the first one. It stops after the
// first error, which is that of ctx if ctx is cancelled.
func (d *Dataset) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		index := 0
		for _, f := range d.files {
			_, err := f.read(ctx, d.want, func(line int, values []value) error {
				if !values[0].present {
					return &RowError{File: f.path, Line: line, Err: fmt.Errorf("column %q has no value", d.columns.Question)}
				}
				if !yield(d.row(index, values), nil) {
					return errStop
				}
				index++
				return nil
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("read data set: %w", err))
				return
			}
		}
	}
}

func (d *Dataset) row(index int, values []value) Row {
	row := Row{Index: index, Question: values[0].text, Answer: values[1].text, System: values[2].text}
	if d.columns.SystemOverride != "" {
		row.System = d.columns.SystemOverride
	}
	for i, column := range d.columns.Extra {
		v := values[3+i]
		if !v.present {
			continue
		}
		if row.Fields == nil {
			row.Fields = make(map[string]string, len(d.columns.Extra))
		}
		row.Fields[column] = v.text
	}
	return row
}
