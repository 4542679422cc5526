package columnar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

const (
	// maxBatch limits the memory for a record batch, which is read as a whole.
	maxBatch = 512 << 20
	// maxMetadata limits the description of a record batch or the schema.
	maxMetadata = 64 << 20
)

// Arrow reads the rows of an Arrow file (Feather version 2) or an Arrow stream.
type Arrow struct {
	file    *os.File
	source  batches
	ctx     readContext
	names   []string
	wanted  []int // indexes of the columns
	batch   arrow.RecordBatch
	inBatch int // rows of batch that were read
	row     int
}

// batches are the record batches of a file. The batch is valid until the next call.
type batches interface {
	Schema() *arrow.Schema
	next() (arrow.RecordBatch, error)
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
	start := make([]byte, len(ipc.Magic))
	if _, err := f.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if string(start[:4]) == "FEA1" {
		return nil, fault.At(0, "it is Feather version 1, which is not read; pandas' to_feather writes version 2, and Parquet is read as well")
	}
	// A section, since the reader of Arrow looks for the end of a file.
	section := io.NewSectionReader(progressReaderAt{ctx, f}, 0, info.Size())
	if a.source, err = openBatches(section, string(start) == string(ipc.Magic)); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fault.At(0, "it is damaged, not whole, or no Arrow file: %w", err)
	}
	for _, field := range a.source.Schema().Fields() {
		if slices.Contains(a.names, field.Name) {
			return nil, fault.At(0, "the column %q occurs twice", field.Name)
		}
		a.names = append(a.names, field.Name)
	}
	a.Select(a.names)
	return a, nil
}

// openBatches opens a file, or else a stream.
func openBatches(section *io.SectionReader, file bool) (b batches, err error) {
	defer recoverDamage(&err)()
	options := []ipc.Option{
		ipc.WithAllocator(&boundedAllocator{Allocator: memory.NewGoAllocator()}),
		ipc.WithBodySizeLimit(maxBatch), ipc.WithMetadataSizeLimit(maxMetadata),
	}
	if file {
		r, err := ipc.NewFileReader(section, options...)
		if err != nil {
			return nil, err
		}
		return &fileBatches{FileReader: r}, nil
	}
	r, err := ipc.NewReader(bufio.NewReader(section), options...)
	if err != nil {
		return nil, err
	}
	return streamBatches{r}, nil
}

type fileBatches struct {
	*ipc.FileReader
	read int
	last arrow.RecordBatch
}

func (f *fileBatches) next() (_ arrow.RecordBatch, err error) {
	defer recoverDamage(&err)()
	if f.last != nil {
		f.last.Release()
		f.last = nil
	}
	if f.read >= f.NumRecords() {
		return nil, io.EOF
	}
	f.last, err = f.RecordBatchAt(f.read)
	f.read++
	return f.last, err
}

type streamBatches struct{ *ipc.Reader }

func (s streamBatches) next() (_ arrow.RecordBatch, err error) {
	defer recoverDamage(&err)()
	return s.Read()
}

// Columns are the names of the columns.
func (a *Arrow) Columns() []string { return a.names }

// Select limits the fields of the rows.
func (a *Arrow) Select(names []string) {
	a.wanted = nil
	for i, name := range a.names {
		if slices.Contains(names, name) {
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
		a.batch, err = a.source.next()
		if err == io.EOF {
			return 0, nil, io.EOF
		}
		if err != nil {
			return 0, nil, a.batchError(err)
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
	if errors.As(err, new(*tooLargeError)) {
		return fault.At(a.row+1, "%w", err)
	}
	return fault.At(a.row+1, "the record batch that begins here is damaged, not whole, or takes more than %d MiB: %w", maxBatch>>20, err)
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
	return arrowValue(a.source.Schema().Field(column), a.batch.Column(column), a.inBatch)
}

// Close closes the file.
func (a *Arrow) Close() error { return a.file.Close() }

// boundedAllocator limits the memory that a file can ask for.
type boundedAllocator struct {
	memory.Allocator
	used int
}

// tooLargeError means that a record batch takes more memory than maxBatch.
type tooLargeError struct{}

// Error implements error.
func (*tooLargeError) Error() string {
	return fmt.Sprintf("the record batch that begins here takes more than %d MiB; Arrow's writers limit batches with chunksize or max_chunksize", maxBatch>>20)
}

// grow panics as the interface has no error. recoverDamage returns it.
func (b *boundedAllocator) grow(size int) {
	if size < 0 || b.used+size > 2*maxBatch { // a batch as stored, and unpacked
		panic(&tooLargeError{})
	}
	b.used += size
}

// Allocate implements memory.Allocator.
func (b *boundedAllocator) Allocate(size int) []byte {
	b.grow(size)
	return b.Allocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (b *boundedAllocator) Reallocate(size int, old []byte) []byte {
	b.grow(size - min(len(old), size))
	b.used -= max(0, len(old)-size)
	return b.Allocator.Reallocate(size, old)
}

// Free implements memory.Allocator.
func (b *boundedAllocator) Free(old []byte) {
	b.used -= len(old)
	b.Allocator.Free(old)
}
