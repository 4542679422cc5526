package cloudblob_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
)

// zeros reads as that many zero bytes.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	clear(p[:n])
	return int(n), nil
}

// newCountingServer starts a server that speaks S3's protocol, stores nothing
// and counts the bytes that it receives. Each of its objects is size zero bytes.
func newCountingServer(t *testing.T, size int64) (address string, received *atomic.Int64) {
	received = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		switch q := r.URL.Query(); {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodGet:
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			if _, err := io.Copy(w, &zeros{size}); err != nil {
				t.Error(err)
			}
		case q.Has("uploads"):
			fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, "<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>")
		default:
			received.Add(n)
			w.Header().Set("ETag", `"0"`)
		}
	}))
	t.Cleanup(s.Close)
	return "s3://large?region=any&use_path_style=true&endpoint=" + url.QueryEscape(s.URL), received
}

// TestLargeArtifactIsStreamed does not run in parallel, because it measures the
// heap of the whole test program. In memory are only the parts that are being
// sent, 8 MiB each, whatever the size of the object.
func TestLargeArtifactIsStreamed(t *testing.T) {
	const size, limit = 512 << 20, 128 << 20
	address, received := newCountingServer(t, size)
	bucket, err := artifact.Buckets.OpenBucket(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	b := artifact.BucketBackend(bucket)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	var putErr, getErr error
	var got int64
	highest := artifacttest.PeakHeap(func() {
		putErr = b.Put(t.Context(), "k", "application/octet-stream", &zeros{size})
		var r io.ReadCloser
		if r, getErr = b.Get(t.Context(), "k"); getErr == nil {
			got, getErr = io.Copy(io.Discard, r)
			_ = r.Close() // it was read to its end
		}
	})
	if putErr != nil || getErr != nil || received.Load() < size || got != size {
		t.Errorf("put %d bytes, %v; got %d bytes, %v", received.Load(), putErr, got, getErr)
	}
	t.Logf("%d MiB written and read needed up to %d MiB", size>>20, highest>>20)
	if highest > limit {
		t.Errorf("%d MiB written and read needed up to %d MiB, want at most %d", size>>20, highest>>20, limit>>20)
	}
}
