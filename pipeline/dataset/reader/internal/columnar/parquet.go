package columnar

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/nameset"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Parquet reads the rows of a Parquet file.
type Parquet struct {
	file    *os.File
	names   []string
	all     []*node // the columns of the schema
	wanted  []*node
	columns map[*node]*leafReader // of the leaves that are read
	leaf    *leafReader           // counts the rows if no column is wanted
	row     int64
	rows    int64
	ctx     readContext
}

// readContext ends the reading with a context.
type readContext func() error

// OpenParquet opens a Parquet file. ctx ends the reading; the bytes of the file count
// as progress of its job.
func OpenParquet(ctx context.Context, path string) (_ *Parquet, err error) {
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
	p := &Parquet{file: f, columns: map[*node]*leafReader{}, ctx: func() error { return context.Cause(ctx) }}
	file, err := openParquet(progressReaderAt{ctx, f}, info.Size())
	if err != nil {
		if context.Cause(ctx) != nil {
			return nil, err
		}
		return nil, fault.At(0, "it is damaged, not whole, or no Parquet file: %w", err)
	}
	p.rows = file.NumRows()
	schema := file.Metadata().Schema
	if p.all, err = buildNodes(file.Root(), &schemaElements{elements: schema, next: 1}); err != nil {
		return nil, err
	}
	refuseDurations(file, p.all)
	seen := nameset.Set{}
	for _, n := range p.all {
		if !seen.Add(n.name) {
			return nil, fault.At(0, "the column %q occurs twice", n.name)
		}
		p.names = append(p.names, n.name)
	}
	p.Select(p.names)
	return p, nil
}

// maxFooter limits the description of a Parquet file, which is in memory.
const maxFooter = 256 << 20

func openParquet(f io.ReaderAt, size int64) (p *parquet.File, err error) {
	defer recoverDamage(&err)()
	// The library takes the memory that the last bytes claim for the footer.
	const mark = "PAR1"
	end := make([]byte, 4+len(mark))
	if size < int64(len(mark)+len(end)) {
		return nil, errors.New("it is too short")
	}
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return nil, err
	}
	if string(end[4:]) != mark {
		return nil, errors.New("it does not end in " + mark)
	}
	if footer := int64(binary.LittleEndian.Uint32(end)); footer > min(maxFooter, size-int64(len(mark)+len(end))) {
		return nil, fmt.Errorf("its footer claims to have %d bytes", footer)
	}
	return parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// Columns are the names of the columns.
func (p *Parquet) Columns() []string { return p.names }

// Select limits the fields of the rows.
func (p *Parquet) Select(names []string) {
	p.wanted, p.leaf = nil, nil
	clear(p.columns)
	wanted := nameset.Of(names)
	for _, n := range p.all {
		if wanted[n.name] {
			p.wanted = append(p.wanted, n)
			for _, leaf := range n.leaves() {
				p.columns[leaf] = newLeafReader(leaf)
			}
		}
	}
	if len(p.columns) > 0 {
		return
	}
	for _, n := range p.all {
		if leaves := n.leaves(); len(leaves) > 0 {
			p.leaf = newLeafReader(leaves[0])
			return
		}
	}
}

// Next returns the next row, from 1, and its fields.
func (p *Parquet) Next() (row int, fields []value.Field, err error) {
	if err := p.ctx(); err != nil {
		return 0, nil, err
	}
	if p.row >= p.rows {
		return 0, nil, io.EOF
	}
	p.row++
	row = int(p.row)
	if p.leaf != nil {
		if err := p.leaf.read(); err != nil {
			return 0, nil, p.rowError(err)
		}
	}
	fields = make([]value.Field, len(p.wanted))
	for i, n := range p.wanted {
		for _, leaf := range n.leaves() {
			if err := p.columns[leaf].read(); err != nil {
				return 0, nil, p.columnError(n, err)
			}
		}
		v, err := p.assemble(n)
		if err != nil {
			return 0, nil, p.columnError(n, err)
		}
		fields[i] = value.Field{Name: n.name, Value: v}
	}
	return row, fields, nil
}

func (p *Parquet) rowError(err error) error {
	if cause := p.ctx(); cause != nil {
		return cause
	}
	return fault.At(int(p.row), "%w", err)
}

func (p *Parquet) columnError(n *node, err error) error {
	if cause := p.ctx(); cause != nil {
		return cause
	}
	return &fault.Error{Line: int(p.row), Column: n.name, Err: err}
}

// Close closes the file.
func (p *Parquet) Close() error {
	var err error
	for _, r := range p.columns {
		err = errors.Join(err, r.close())
	}
	if p.leaf != nil {
		err = errors.Join(err, p.leaf.close())
	}
	return errors.Join(err, p.file.Close())
}

// progressReaderAt ends with its context, and counts what is read as progress.
type progressReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (p progressReaderAt) ReadAt(b []byte, offset int64) (int, error) {
	if err := context.Cause(p.ctx); err != nil {
		return 0, err
	}
	n, err := p.r.ReadAt(b, offset)
	progress.Advance(p.ctx, int64(n))
	return n, err
}
