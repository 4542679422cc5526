package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// countingReader ends with an error where its content has another size than
// was promised, or when ctx ends. It hands out the last bytes only once the
// content has ended there, so that nobody ever holds a whole that is wrong.
type countingReader struct {
	ctx    context.Context //nolint:containedctx // lives for one copy
	r      io.Reader
	size   int64 // -1: any
	n      int64
	broken error // what is wrong with the content, as opposed to where it goes
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.broken != nil {
		return 0, c.broken
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err == nil && c.n == c.size {
		var beyond [1]byte
		var more int
		more, err = io.ReadFull(c.r, beyond[:])
		c.n += int64(more)
	}
	switch {
	case c.size >= 0 && (c.n > c.size || errors.Is(err, io.EOF) && c.n < c.size):
		c.broken = fmt.Errorf("%d bytes announced, at least %d read: %w", c.size, c.n, errSize)
	case err != nil && !errors.Is(err, io.EOF):
		c.broken = err
	default:
		return n, err
	}
	return 0, c.broken
}

// errSize says that an artifact is not as long as was announced.
var errSize = errors.New("another size than announced")
