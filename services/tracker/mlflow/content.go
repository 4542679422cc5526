package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Content reads the content of an [Artifact]. It fails if the content does
// not have the promised size, or when the context of [OpenContent] ends. It
// returns the last bytes only once the content has ended there, so that no
// reader ever gets all bytes of a content that is too long.
type Content struct {
	ctx    context.Context //nolint:containedctx // lives for one copy
	source io.ReadCloser
	size   int64 // -1: any
	read   int64
	fault  error
}

// OpenContent opens the content of an artifact for one try.
func OpenContent(ctx context.Context, a Artifact) (*Content, error) {
	source, err := a.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &Content{ctx: ctx, source: source, size: a.Size}, nil
}

// Fault returns why the content itself cannot be stored: it cannot be read, or
// its size is wrong. It is nil if only the store failed.
func (c *Content) Fault() error { return c.fault }

// Read implements [io.Reader].
func (c *Content) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.fault != nil {
		return 0, c.fault
	}
	n, err := c.source.Read(p)
	c.read += int64(n)
	if err == nil && c.read == c.size {
		var beyond [1]byte
		var more int
		more, err = io.ReadFull(c.source, beyond[:])
		c.read += int64(more)
	}
	switch {
	case c.size >= 0 && (c.read > c.size || errors.Is(err, io.EOF) && c.read < c.size):
		c.fault = fmt.Errorf("%d bytes announced, at least %d read: %w", c.size, c.read, errSize)
	case err != nil && !errors.Is(err, io.EOF):
		c.fault = err
	default:
		return n, err
	}
	return 0, c.fault
}

// Close closes the source.
func (c *Content) Close() error { return c.source.Close() }

var errSize = errors.New("another size than announced")
