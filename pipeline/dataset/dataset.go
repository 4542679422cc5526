package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// Info describes a data set.
type Info struct {
	// Shape is what the data set was read as.
	Shape Shape
	// Counts are the rows, with those that are left out.
	Counts Counts
	// SHA256 identifies the content, in hexadecimal: the digest of a single
	// file, or the digest of the output of sha256sum for several files (digest,
	// two spaces, name relative to the folder, line feed).
	SHA256  string
	Bytes   int64    // of all files, as stored
	Files   []string // relative to the folder, with "/"; sorted
	Columns []string // of all files, in the order in which they occur
	Format  Format
	// Config and Split are those that were read; empty if there are none.
	Config string
	Split  source.Split
	// Notes say what was chosen and what was left out, for the person.
	Notes []string
}

// Event returns the description of the data set for events. key is the key of the
// specification that named the data set.
func (i Info) Event(key string) events.Dataset {
	return events.Dataset{Key: key, SHA256: i.SHA256, Size: i.Bytes, Rows: i.Counts.Rows}
}

// Dataset is a data set that can be read to its end. It has no open files and no
// rows in memory, and may be used concurrently.
type Dataset struct {
	files   []file
	want    Want
	columns []string // the columns to read, see wantedColumns
	info    Info
}

// Open finds the files, recognises their shape, and reads them once to the end.
// The errors are [ErrEmpty], [ErrUnknownFormat], [*MissingColumnError],
// [*MissingSplitError], [*RowError] and those of the file system.
func Open(ctx context.Context, src source.Source, want Want) (*Dataset, error) {
	d, err := open(ctx, src, want)
	if err != nil {
		return nil, fmt.Errorf("open data set %s: %w", src.Path, err)
	}
	return d, nil
}

func open(ctx context.Context, src source.Source, want Want) (*Dataset, error) {
	if want.Columns.Question == "" {
		return nil, errors.New("no question column is named")
	}
	if want.Columns.SystemOverride != "" {
		want.Columns.System = ""
	}
	files, err := findSource(src)
	if err != nil {
		return nil, err
	}
	d := &Dataset{files: files, want: want, columns: wantedColumns(want)}
	d.info.Format, d.info.Shape = files[0].format, Question
	for _, f := range files {
		if err := d.inspect(ctx, f); err != nil {
			return nil, err
		}
	}
	if d.info.Counts.Rows == 0 {
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
	rows := int64(0)
	have, err := f.read(ctx, d.columns, func(line int, values []cell) error {
		rows++
		if firstErr == nil && !values[0].present {
			firstErr = &RowError{File: f.path, Line: line, Err: fmt.Errorf("column %q has no value", d.want.Columns.Question)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A file without rows may have no columns. The other files may have rows.
	if rows > 0 {
		for _, column := range []string{d.want.Columns.Question, d.want.Columns.Answer, d.want.Columns.System} {
			if column != "" && !slices.Contains(have, column) {
				return &MissingColumnError{File: f.path, Column: column, Have: have}
			}
		}
	}
	if firstErr != nil {
		return firstErr
	}
	d.info.Counts.Rows += rows
	d.info.Counts.Read += rows
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
func wantedColumns(w Want) []string {
	return append([]string{w.Columns.Question, w.Columns.Answer, w.Columns.System}, w.Extra...)
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
func (d *Dataset) Rows(ctx context.Context) iter.Seq2[row.Row, error] {
	return func(yield func(row.Row, error) bool) {
		position := int64(0)
		for _, f := range d.files {
			_, err := f.read(ctx, d.columns, func(line int, values []cell) error {
				if !values[0].present {
					return &RowError{File: f.path, Line: line, Err: fmt.Errorf("column %q has no value", d.want.Columns.Question)}
				}
				r := d.row(values)
				r.Place = row.Place{File: f.name, Line: line, Position: position}
				if !yield(r, nil) {
					return errStop
				}
				position++
				return nil
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(row.Row{}, fmt.Errorf("read data set: %w", err))
				return
			}
		}
	}
}

func (d *Dataset) row(values []cell) row.Row {
	var r row.Row
	system := values[2].text
	if d.want.Columns.SystemOverride != "" {
		system = d.want.Columns.SystemOverride
	}
	if system != "" {
		r.Messages = append(r.Messages, row.NewMessage(row.System, system))
	}
	r.Messages = append(r.Messages, row.NewMessage(row.User, values[0].text), row.NewMessage(row.Assistant, values[1].text))
	r.Truths = []string{values[1].text}
	for i, column := range d.want.Extra {
		v := values[3+i]
		if !v.present {
			continue
		}
		if r.Fields == nil {
			r.Fields = make(map[string]string, len(d.want.Extra))
		}
		r.Fields[column] = v.text
	}
	return r
}
