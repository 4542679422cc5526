package textfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

const (
	// A compressed text may unpack to minUnpacked bytes, or to maxRatio times its
	// size, whichever is more. Rows that share a long system prompt reach a ratio
	// of some 50; a file that is made to fill disks, 1000.
	minUnpacked = 1 << 30
	maxRatio    = 200
	// maxWindow is the memory that a zstd file may need; "zstd --long" uses 128 MiB.
	maxWindow = 128 << 20
)

// decompress returns the text of a file of some size. The first bytes say whether
// it is compressed, not the name: clients of HTTP unpack files and keep the name.
func (t *File) decompress(file io.Reader, size int64) (io.Reader, error) {
	r := bufio.NewReaderSize(file, 64<<10)
	start, err := r.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	limit := max(minUnpacked, maxRatio*size)
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, t.readError(err)
		}
		t.unpacker = z
		return &limited{r: z, limit: limit}, nil
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		// One goroutine, that of the caller.
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, t.readError(err)
		}
		closer := z.IOReadCloser()
		t.unpacker = closer
		return &limited{r: closer, limit: limit}, nil
	}
	for magic, kind := range map[string]string{
		"BZh": "a bzip2 file", "\xfd7zXZ\x00": "an xz file", "PK\x03\x04": "a ZIP file or a workbook", "7z\xbc\xaf\x27\x1c": "a 7z file",
		"PAR1": "a Parquet file", "ARROW1": "an Arrow file",
	} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return nil, fault.At(0, "it is %s, though its name says text; of compressed text gzip and zstd are read", kind)
		}
	}
	return r, nil
}

// readError says what an error of a reader means for the file.
func (t *File) readError(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	line := t.lines + 1
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.At(line, "the compressed file ends in the middle: it was not copied or downloaded whole, or something was added to its end")
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fault.At(line, "unpacking it takes more than %d MiB of memory; compress it without --ultra and --long", maxWindow>>20)
	case errors.As(err, new(*tooLargeError)):
		return fault.At(line, "%w", err)
	case t.unpacker != nil || errors.Is(err, gzip.ErrHeader):
		return fault.At(line, "the compressed file is damaged: %v", err)
	}
	return err
}

// tooLargeError means that a file unpacks to more than its bound.
type tooLargeError struct{ limit int64 }

// Error implements error.
func (e *tooLargeError) Error() string {
	return fmt.Sprintf("it unpacks to more than %d MiB, which is %d times its size; unpack it yourself if that is right", e.limit>>20, maxRatio)
}

// limited returns a [*tooLargeError] behind limit bytes.
type limited struct {
	r     io.Reader
	limit int64
	read  int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.read += int64(n)
	if l.read > l.limit {
		return 0, &tooLargeError{l.limit}
	}
	return n, err
}
