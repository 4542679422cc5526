package huggingface_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// TestStalledTransfersEnd: a list or a file that stands still is broken off. The
// file is transferred again; a second try of the list is the caller's.
func TestStalledTransfersEnd(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/tree/", "/resolve/"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			f := newFakeHub(t, model())
			var stalled atomic.Bool
			release := make(chan struct{})
			t.Cleanup(func() { close(release) }) // before the server closes
			f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) || !stalled.CompareAndSwap(false, true) {
					return false
				}
				_, _ = w.Write([]byte("["))
				w.(http.Flusher).Flush()
				<-release
				return true
			}
			c := f.client(t, func(o *huggingface.Options) { o.IdleTimeout = 50 * time.Millisecond })
			_, err := c.Model(t.Context(), "owner/name", "")
			if isList := part == "/tree/"; isList != (err != nil) {
				t.Errorf("the model: %v", err)
			}
		})
	}
}
