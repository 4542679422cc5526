package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/allocator"
)

// messageReader reads the messages of an Arrow stream. A file is a stream as well,
// between a mark at its start and an index, which is not needed to read it in order.
//
// arrow-go has such a reader. It hands on what a message claims about its parts, and
// its decoder takes the memory for them, so here the claims are checked first.
// Source of the layout: Arrow columnar format, "Serialization and Interprocess
// Communication", and format/Message.fbs and Schema.fbs.
type messageReader struct {
	r   *io.SectionReader
	err error // of the last message
	// views are the arrays of views in a row batch, and the most in a dictionary.
	// Each has a number of buffers in the metadata of the batch.
	views, dictionaryViews int
}

// newMessageReader opens a file or a stream; the first bytes tell which.
func newMessageReader(file io.ReaderAt, size int64) (*messageReader, error) {
	start, end := make([]byte, len(ipc.Magic)), make([]byte, len(ipc.Magic))
	if size < int64(len(start)) {
		return nil, errors.New("it is no Arrow file, or not whole")
	}
	if _, err := file.ReadAt(start, 0); err != nil {
		return nil, err
	}
	if _, err := file.ReadAt(end, size-int64(len(end))); err != nil {
		return nil, err
	}
	isFile := string(start) == string(ipc.Magic)
	switch {
	case string(start[:4]) == "FEA1":
		return nil, errors.New("it is Feather version 1, which is not read; pandas' to_feather writes version 2, and Parquet is read as well")
	case isFile && string(end) != string(ipc.Magic):
		return nil, errors.New("the file ends in the middle; it was not copied or downloaded whole")
	case isFile:
		const padded = 8
		return &messageReader{r: io.NewSectionReader(file, padded, size-padded)}, nil
	}
	return &messageReader{r: io.NewSectionReader(file, 0, size)}, nil
}

// Retain and Release implement [ipc.MessageReader]; the garbage collector does the
// rest.
func (m *messageReader) Retain() {}

// Release implements [ipc.MessageReader].
func (m *messageReader) Release() {}

// Message implements [ipc.MessageReader].
func (m *messageReader) Message() (*ipc.Message, error) {
	message, err := m.next()
	m.err = err
	return message, err
}

// cause replaces an error of the decoder with that of the message.
func (m *messageReader) cause(err error) error {
	if err != nil && m.err != nil && !isEnd(m.err) {
		return m.err
	}
	if err != nil {
		return fmt.Errorf("it is damaged, or no Arrow file: %w", err)
	}
	return nil
}

func (m *messageReader) next() (message *ipc.Message, err error) {
	defer recoverDamage(&err)()
	size, err := m.metadataSize()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, io.EOF
	}
	if size < 8 || size > maxMetadata || size > m.left() {
		return nil, errDamaged
	}
	metadata := make([]byte, size)
	if _, err := io.ReadFull(m.r, metadata); err != nil {
		return nil, err
	}
	body, err := m.check(metadata)
	if err != nil {
		return nil, err
	}
	if body > allocator.MaxBatch {
		return nil, &allocator.TooLargeError{}
	}
	if body < 0 || body > m.left() {
		return nil, errDamaged
	}
	data := make([]byte, body)
	if _, err := io.ReadFull(m.r, data); err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(metadata), memory.NewBufferBytes(data)), nil
}

// metadataSize returns the size of the next message's metadata; 0 at the end.
func (m *messageReader) metadataSize() (int64, error) {
	const continuation = 0xffffffff // is not there in files of Arrow below 0.15
	var word [4]byte
	for range 2 {
		_, err := io.ReadFull(m.r, word[:])
		if isEnd(err) {
			return 0, nil // a stream may end without a mark
		}
		if err != nil {
			return 0, err
		}
		if n := binary.LittleEndian.Uint32(word[:]); n != continuation {
			return int64(n), nil
		}
	}
	return 0, errDamaged
}

// left is the number of bytes behind the position.
func (m *messageReader) left() int64 {
	at, err := m.r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return m.r.Size() - at
}

// maxRows limits the rows that a batch claims; columns of nulls take no space.
const maxRows = 1 << 30

// slot is the offset in a vtable of a field with this number.
func slot(field int) flatbuffers.VOffsetT { return flatbuffers.VOffsetT(4 + 2*field) }

// The kinds of messages, and the type of unions.
const (
	schemaMessage     = 1
	dictionaryMessage = 2
	batchMessage      = 3
	unionType         = 14
	binaryViewType    = 23
	textViewType      = 24
)

// check checks the counts in the metadata of a message, and returns the size of its
// body. Offsets need no check: a wrong one panics.
func (m *messageReader) check(metadata []byte) (body int64, err error) {
	root := flatbuffers.Table{Bytes: metadata, Pos: flatbuffers.GetUOffsetT(metadata)}
	kind := root.GetByteSlot(slot(1), 0)
	body = root.GetInt64Slot(slot(3), 0)
	c := &checker{left: maxEntries}
	header, ok := child(root, 2)
	switch {
	case !ok:
		return 0, errDamaged
	case kind == schemaMessage:
		err = c.schema(header)
		m.views, m.dictionaryViews = c.views, c.dictionaryViews
	case kind == batchMessage:
		err = c.batch(header, m.views)
	case kind == dictionaryMessage:
		data, ok := child(header, 1)
		if !ok {
			return 0, errDamaged
		}
		err = c.batch(data, m.dictionaryViews)
	}
	return body, err
}

// checker checks the parts of one message.
type checker struct {
	left                   int // entries that the message may still have
	views, dictionaryViews int // see messageReader
}

// child returns the table in a field.
func child(t flatbuffers.Table, field int) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot(field)))
	if o == 0 {
		return t, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(o + t.Pos)}, true
}

// vector returns the start and the length of a vector, whose elements have a size.
func (c *checker) vector(t flatbuffers.Table, field, size int) (start flatbuffers.UOffsetT, n int, err error) {
	o := flatbuffers.UOffsetT(t.Offset(slot(field)))
	if o == 0 {
		return 0, 0, nil
	}
	start, n = t.Vector(o), t.VectorLen(o)
	if c.left -= n; n < 0 || c.left < 0 || int64(start)+int64(n)*int64(size) > int64(len(t.Bytes)) {
		return 0, 0, errDamaged
	}
	return start, n, nil
}

func (c *checker) schema(t flatbuffers.Table) error {
	if _, _, err := c.vector(t, 2, 4); err != nil { // metadata of the writer
		return err
	}
	return c.fields(t, 1, 0)
}

// fields checks a vector of fields, and the fields in them.
func (c *checker) fields(t flatbuffers.Table, field, depth int) error {
	const maxDepth = 128
	start, n, err := c.vector(t, field, 4)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return errors.New("the columns are nested too deep")
	}
	for i := range n {
		f := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(4*i))}
		if _, _, err := c.vector(f, 6, 4); err != nil { // metadata of the field
			return err
		}
		before := c.views
		switch kind, ok := child(f, 3); f.GetByteSlot(slot(2), 0) {
		case unionType:
			if !ok {
				return errDamaged
			}
			if _, _, err := c.vector(kind, 1, 4); err != nil { // the numbers of the union's types
				return err
			}
		case binaryViewType, textViewType:
			c.views++
		}
		if err := c.fields(f, 5, depth+1); err != nil {
			return err
		}
		if _, ok := child(f, 4); ok { // the values are in a dictionary
			c.dictionaryViews = max(c.dictionaryViews, c.views-before)
			c.views = before
		}
	}
	return nil
}

// batch checks a batch that has so many arrays of views.
func (c *checker) batch(t flatbuffers.Table, views int) error {
	if rows := t.GetInt64Slot(slot(0), 0); rows < 0 || rows > maxRows {
		return errDamaged
	}
	const structSize = 16
	if _, _, err := c.vector(t, 1, structSize); err != nil { // the lengths of arrays
		return err
	}
	_, buffers, err := c.vector(t, 2, structSize)
	if err != nil {
		return err
	}
	start, n, err := c.vector(t, 4, 8)
	if err != nil {
		return err
	}
	if n < views {
		return errDamaged
	}
	for i := range n { // the buffers of arrays of views
		if count := t.GetInt64(start + flatbuffers.UOffsetT(8*i)); count < 0 || count > int64(buffers) {
			return errDamaged
		}
	}
	return nil
}
