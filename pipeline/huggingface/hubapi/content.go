package hubapi

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
)

// content is what a request sends. The transport reads it as fast as the network
// takes it, so a long time between two reads means that the upload stands still.
type content struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	inner  io.ReadCloser
	idle   time.Duration
	timer  *time.Timer

	mu  sync.Mutex
	err error
}

func newContent(ctx context.Context, inner io.ReadCloser, idle time.Duration) *content {
	c := &content{inner: inner, idle: idle}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(idle, func() { c.cancel(idletimeout.ErrIdle) })
	return c
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	c.timer.Stop() // the source has limits of its own
	n, err := c.inner.Read(p)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
		}
		return n, err
	}
	c.timer.Reset(c.idle)
	return n, nil
}

// Close implements [io.Closer].
func (c *content) Close() error {
	if c == nil {
		return nil
	}
	c.timer.Stop()
	return c.inner.Close()
}

// failure is why the source could not be read; nil if it could.
func (c *content) failure() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
