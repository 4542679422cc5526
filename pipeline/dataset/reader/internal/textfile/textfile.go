// Package textfile reads text files whatever their encoding and compression are:
// what comes out is valid UTF-8 without a byte order mark. Bytes that are not text
// in the encoding of the file are an error with their line, never U+FFFD.
package textfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/progress"
)

const (
	// MaxRecord is the size of the longest record in bytes, so that a file without
	// line feeds is not read into memory.
	MaxRecord = 64 << 20
	firstSize = 256 << 10
)

// Options say how to read a file.
type Options struct {
	Encoding    string // name of an encoding; empty for UTF-8
	EncodingKey string // the key that sets Encoding, for errors
}

// File is an open text file. Its reader looks at the text in [File.Buffered],
// calls [File.Fill] if that is not enough, and [File.Consume] when it is done with
// a part.
type File struct {
	file     *os.File
	unpacker io.Closer // nil if the file is not compressed
	r        io.Reader
	decoded  bool // r turns another encoding into UTF-8
	options  Options
	// buf[at:checked] is valid text that was not consumed, buf[checked:end] was read
	// and not checked.
	buf              []byte
	at, checked, end int
	lines            int   // line feeds before checked
	err              error // of r, behind buf[:end], or at checked
}

// Open opens a file. The first bytes say whether it is compressed, and which
// encoding it has, if there is a byte order mark. ctx ends the reading; the bytes
// of the file count as progress of its job.
func Open(ctx context.Context, path string, o Options) (_ *File, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &File{file: file, options: o, buf: make([]byte, firstSize)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if t.r, err = t.decompress(progressReader{ctx, file}, info.Size()); err != nil {
		return nil, err
	}
	return t, t.decode()
}

// Buffered is the text that was read and not consumed. It is valid until the next
// call of Fill.
func (t *File) Buffered() []byte { return t.buf[t.at:t.checked] }

// Consume removes text from the start of [File.Buffered].
func (t *File) Consume(n int) { t.at += n }

// Fill reads more text to the end of [File.Buffered]. The error is io.EOF at the
// end of the file, a [*fault.Error], or one of the file system or the context.
func (t *File) Fill() error {
	for {
		if t.err != nil && (t.checked == t.end || t.err != io.EOF) {
			return t.err
		}
		if err := t.read(); err != nil {
			return err
		}
		before := t.checked
		t.check()
		if t.checked > before {
			return nil
		}
	}
}

// read reads to the end of buf.
func (t *File) read() error {
	if t.at > 0 {
		copy(t.buf, t.buf[t.at:t.end])
		t.at, t.checked, t.end = 0, t.checked-t.at, t.end-t.at
	}
	if t.end == len(t.buf) {
		if len(t.buf) >= MaxRecord {
			return fault.At(t.line(0), "the row that begins here is longer than %d MiB", MaxRecord>>20)
		}
		t.buf = append(t.buf, make([]byte, len(t.buf))...)
	}
	if t.err != nil {
		return nil
	}
	n, err := t.r.Read(t.buf[t.end:])
	t.end += n
	if err != nil && err != io.EOF {
		err = t.readError(err)
	}
	t.err = err
	return nil
}

// line returns the line of a position in buf that is not behind checked.
func (t *File) line(at int) int {
	return 1 + t.lines - bytes.Count(t.buf[at:t.checked], []byte("\n"))
}

// check moves checked as far as the text is valid.
func (t *File) check() {
	text := t.buf[t.checked:t.end]
	valid := len(text)
	if !utf8.Valid(text) {
		valid = validPrefix(text)
	}
	bad := valid < len(text) && (t.err != nil || utf8.FullRune(text[valid:]))
	if i := bytes.IndexByte(text[:valid], 0); i >= 0 {
		valid, bad = i, true
	}
	if t.decoded {
		if i := bytes.Index(text[:valid], []byte(string(utf8.RuneError))); i >= 0 {
			valid, bad = i, true
		}
	}
	t.lines += bytes.Count(text[:valid], []byte("\n"))
	t.checked += valid
	if bad && (t.err == nil || t.err == io.EOF) {
		t.err = t.encodingError()
	}
}

// validPrefix is the length of the valid UTF-8 at the start.
func validPrefix(text []byte) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return at
}

// Close closes the file.
func (t *File) Close() error {
	if t.unpacker != nil {
		// Its error is that of its last Read.
		_ = t.unpacker.Close()
	}
	return t.file.Close()
}

// progressReader ends with its context, and counts what is read as progress.
type progressReader struct {
	ctx context.Context
	r   io.Reader
}

func (p progressReader) Read(b []byte) (int, error) {
	if err := context.Cause(p.ctx); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	progress.Advance(p.ctx, int64(n))
	return n, err
}
