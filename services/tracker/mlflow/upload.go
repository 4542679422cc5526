package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// errStalled ends an upload in which nothing moves any more.
var errStalled = errors.New("the upload stands still")

// upload sends a file once. The whole may take as long as it needs, but not
// stand still for longer than a request may take.
func (c *rest) upload(ctx context.Context, u *url.URL, a Artifact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.opt.Timeout, func() { cancel(errStalled) })
	defer stalled.Stop()

	source, err := a.Open(ctx)
	if err != nil {
		return err
	}
	body := &uploadBody{
		content: &countingReader{ctx: ctx, r: source, size: a.Size},
		source:  source,
		moved:   func() { stalled.Reset(c.opt.Timeout) },
		closed:  make(chan struct{}),
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), body)
	if err != nil {
		return errors.Join(fmt.Errorf("upload to %s: invalid request", c.base.Host), body.Close())
	}
	req.ContentLength = a.Size
	if a.Size == 0 {
		// A body of length 0 would count as one of unknown length.
		req.Body = http.NoBody
		if err := errors.Join(body.drain(), body.Close()); err != nil {
			return err
		}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	err = c.do(req, "upload", nil)
	<-body.closed
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errStalled):
		err = c.unreachable("upload", errStalled)
	case body.content.broken != nil:
		// The content is at fault, not the server: no further try helps.
		err = body.content.broken
	}
	return errors.Join(err, body.closeErr)
}

// uploadBody is the content of one upload. A transport may read and close it
// after it has answered; closed says that it is let go.
type uploadBody struct {
	content *countingReader
	source  io.Closer
	moved   func()
	closed  chan struct{}

	mu       sync.Mutex // a transport may close while it reads
	isClosed bool
	closeErr error
}

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return 0, http.ErrBodyReadAfterClose
	}
	b.moved()
	return b.content.Read(p)
}

// drain reads a source that is announced as empty.
func (b *uploadBody) drain() error {
	_, err := io.Copy(io.Discard, b)
	return err
}

func (b *uploadBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isClosed {
		b.isClosed = true
		b.closeErr = b.source.Close()
		close(b.closed)
	}
	return b.closeErr
}
