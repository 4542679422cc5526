package restapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// errStalled ends an upload that makes no progress.
var errStalled = errors.New("the upload stands still")

// upload sends a file once. The whole upload may take as long as it needs, but
// a pause must not be longer than [Options.Timeout].
func (c *client) upload(ctx context.Context, u *url.URL, a mlflow.Artifact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(c.opt.Timeout, func() { cancel(errStalled) })
	defer watchdog.Stop()

	content, err := mlflow.OpenContent(ctx, a)
	if err != nil {
		return err
	}
	body := &uploadBody{
		content:  content,
		progress: func() { watchdog.Reset(c.opt.Timeout) },
		closed:   make(chan struct{}),
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), body)
	if err != nil {
		return errors.Join(fmt.Errorf("upload to %s: invalid request", c.base.Host), body.Close())
	}
	req.ContentLength = a.Size
	if a.Size == 0 {
		// net/http takes the length 0 for an unknown length unless the body is
		// NoBody. Reading checks that the content is empty.
		req.Body = http.NoBody
		_, err := io.Copy(io.Discard, body)
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	err = c.send(req, "upload", nil)
	<-body.closed
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errStalled):
		err = unreachable(c.base.Host, "upload", errStalled)
	case content.Fault() != nil:
		// The content is at fault and not the server: no further try helps.
		err = content.Fault()
	}
	return errors.Join(err, body.closeErr)
}

// uploadBody is the body of one upload. The transport may still read it, and
// close it later, after the request has returned; closed reports the end.
type uploadBody struct {
	content  *mlflow.Content
	progress func()
	closed   chan struct{}

	mu       sync.Mutex // the transport may close while it reads
	isClosed bool
	closeErr error
}

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return 0, http.ErrBodyReadAfterClose
	}
	b.progress()
	return b.content.Read(p)
}

func (b *uploadBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isClosed {
		b.isClosed = true
		b.closeErr = b.content.Close()
		close(b.closed)
	}
	return b.closeErr
}
