package dataset

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
)

// textFile reads a text file, decompressed and without byte order mark.
type textFile struct {
	*bufio.Reader
	closers []io.Closer
}

func openText(path string) (*textFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &textFile{closers: []io.Closer{f}}
	var r io.Reader = f
	if strings.HasSuffix(strings.ToLower(path), ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, errors.Join(&RowError{File: path, Line: 1, Err: err}, f.Close())
		}
		t.closers = append(t.closers, z)
		r = z
	}
	t.Reader = bufio.NewReaderSize(r, 64<<10)
	const mark = "\xef\xbb\xbf"
	if start, err := t.Peek(len(mark)); err == nil && string(start) == mark {
		if _, err := t.Discard(len(mark)); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	return t, nil
}

func (t *textFile) Close() error {
	var err error
	for _, c := range t.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}
