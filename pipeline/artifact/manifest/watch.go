package manifest

import (
	"context"
	"io"
	"os"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// Watcher is told now and then how many bytes of a file were read, of how many.
type Watcher func(path string, done, size int64)

type watcherKey struct{}

// Watch returns a context under which a watcher is told about the files that are
// read for their digests or for an upload.
func Watch(ctx context.Context, w Watcher) context.Context {
	return context.WithValue(ctx, watcherKey{}, w)
}

// Reader returns a reader of a file that ends with its context, tells the watcher
// of the context, and counts the bytes as progress of its job.
func Reader(ctx context.Context, path string, f *os.File) io.Reader {
	r := &watchedReader{ctx: ctx, path: path, r: progress.Reader(ctx, f)}
	if r.tell, _ = ctx.Value(watcherKey{}).(Watcher); r.tell != nil {
		if info, err := f.Stat(); err == nil {
			r.size = info.Size()
		}
	}
	return r
}

type watchedReader struct {
	ctx        context.Context
	path       string
	r          io.Reader
	tell       Watcher // nil: nobody watches
	done, size int64
}

func (w *watchedReader) Read(p []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil { // a file may take minutes to read
		return 0, err
	}
	n, err := w.r.Read(p)
	w.done += int64(n)
	if w.tell != nil {
		w.tell(w.path, w.done, w.size)
	}
	return n, err
}
