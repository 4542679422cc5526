package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// countingReader ends with an error where its content has another size than
// was promised, or when ctx ends.
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
	n, err := c.r.Read(p)
	c.n += int64(n)
	switch {
	case c.size >= 0 && (c.n > c.size || errors.Is(err, io.EOF) && c.n < c.size):
		c.broken = fmt.Errorf("%d bytes read of %d: %w", c.n, c.size, io.ErrUnexpectedEOF)
	case err != nil && !errors.Is(err, io.EOF):
		c.broken = err
	default:
		return n, err
	}
	return n, c.broken
}
