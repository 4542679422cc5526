package columnar

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/allocator"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/nameset"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

const (
	// maxMetadata limits the description of a record batch or of the columns, and
	// maxEntries their parts.
	maxMetadata = 16 << 20
	maxEntries  = 1 << 20
)

// Arrow reads the rows of an Arrow file (Feather version 2) or an Arrow stream.
type Arrow struct {
	file    *os.File
	source  *ipc.Reader
	ctx     readContext
	names   []string
	wanted  []int // indexes of the columns
	batch   arrow.RecordBatch
	inBatch int // rows of batch that were read
	row     int
}

// OpenArrow opens an Arrow file or stream; the first bytes tell which. ctx ends the
// reading; the bytes of the file count as progress of its job.
func OpenArrow(ctx context.Context, path string) (_ *Arrow, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a := &Arrow{file: f, ctx: func() error { return context.Cause(ctx) }}
	messages, err := newMessageReader(progressReaderAt{ctx, f}, info.Size())
	if err == nil {
		a.source, err = newArrowReader(messages)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fault.At(0, "%w", err)
	}
	seen := nameset.Set{}
	for _, field := range a.source.Schema().Fields() {
		if !seen.Add(field.Name) {
			return nil, fault.At(0, "the column %q occurs twice", field.Name)
		}
		a.names = append(a.names, field.Name)
	}
	a.Select(a.names)
	return a, nil
}

func newArrowReader(m *messageReader) (r *ipc.Reader, err error) {
	defer recoverDamage(&err)()
	r, err = ipc.NewReaderFromMessageReader(m, ipc.WithAllocator(allocator.New()))
	return r, m.cause(err)
}

// nextBatch returns the next record batch, which is valid until the next call.
func (a *Arrow) nextBatch() (_ arrow.RecordBatch, err error) {
	defer recoverDamage(&err)()
	return a.source.Read()
}

// Columns are the names of the columns.
func (a *Arrow) Columns() []string { return a.names }

// Select limits the fields of the rows.
func (a *Arrow) Select(names []string) {
	a.wanted = nil
	wanted := nameset.Of(names)
	for i, name := range a.names {
		if wanted[name] {
			a.wanted = append(a.wanted, i)
		}
	}
}

// Next returns the next row, from 1, and its fields.
func (a *Arrow) Next() (row int, fields []value.Field, err error) {
	for a.batch == nil || int64(a.inBatch) >= a.batch.NumRows() {
		if err := a.ctx(); err != nil {
			return 0, nil, err
		}
		a.batch, err = a.nextBatch()
		if isEnd(err) {
			return 0, nil, io.EOF
		}
		if err != nil {
			return 0, nil, a.batchError(err)
		}
		if a.batch.NumRows() > maxRows {
			return 0, nil, a.batchError(errDamaged)
		}
		a.inBatch = 0
	}
	a.row++
	fields, err = a.fields()
	a.inBatch++
	return a.row, fields, err
}

func (a *Arrow) batchError(err error) error {
	if cause := a.ctx(); cause != nil {
		return cause
	}
	if errors.As(err, new(*allocator.TooLargeError)) {
		return fault.At(a.row+1, "%w", err)
	}
	return fault.At(a.row+1, "the record batch that begins here is damaged, not whole, or takes more than %d MiB: %w", allocator.MaxBatch>>20, err)
}

func (a *Arrow) fields() ([]value.Field, error) {
	fields := make([]value.Field, len(a.wanted))
	for i, column := range a.wanted {
		v, err := a.cell(column)
		if err != nil {
			return nil, &fault.Error{Line: a.row, Column: a.names[column], Err: err}
		}
		fields[i] = value.Field{Name: a.names[column], Value: v}
	}
	return fields, nil
}

func (a *Arrow) cell(column int) (_ value.Value, err error) {
	defer recoverDamage(&err)()
	c := arrowCell{left: value.MaxValues}
	return c.value(a.source.Schema().Field(column), a.batch.Column(column), a.inBatch)
}

// Close closes the file.
func (a *Arrow) Close() error { return a.file.Close() }
