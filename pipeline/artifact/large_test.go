package artifact_test

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
)

// pattern generates size bytes that depend on their position.
type pattern struct{ at, size int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.size-p.at)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) * 2654435761 >> 13)
	}
	p.at += int64(len(b))
	return len(b), nil
}

// openFolder returns an empty store in a folder.
func openFolder(t testing.TB) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.Context(), "file://"+filepath.ToSlash(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// roundTrip writes and reads an artifact of size bytes.
func roundTrip(t testing.TB, s *artifact.Store, key string, size int64) {
	t.Helper()
	ref, err := s.Put(t.Context(), key, "application/octet-stream", &pattern{size: size})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != size {
		t.Fatalf("got %d bytes, %v; want %d", n, err, size)
	}
}

// TestLargeArtifactIsStreamed does not run in parallel, because it measures the
// heap of the whole test program.
func TestLargeArtifactIsStreamed(t *testing.T) {
	const (
		size  = 256 << 20
		limit = 16 << 20
	)
	s := openFolder(t)
	peak := artifacttest.PeakHeap(func() { roundTrip(t, s, "large", size) })
	if peak > limit {
		t.Errorf("a round trip of %d MiB had up to %d MiB in memory, want at most %d", size>>20, peak>>20, limit>>20)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 64 << 20} {
		for _, name := range []string{"files", "memory bucket"} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				s, err := artifact.New(b.Context(), artifact.Backends()[name](b))
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(size)
				for i := 0; b.Loop(); i++ {
					key := fmt.Sprintf("runs/r1/finetune/1/%d", i)
					if _, err := s.Put(b.Context(), key, "application/octet-stream", &pattern{size: size}); err != nil {
						b.Fatal(err)
					}
					// Without this, many large objects would fill the disk.
					if err := s.Delete(b.Context(), key); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 64 << 20} {
		for _, name := range []string{"files", "memory bucket"} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				s, err := artifact.New(b.Context(), artifact.Backends()[name](b))
				if err != nil {
					b.Fatal(err)
				}
				ref, err := s.Put(b.Context(), "k", "application/octet-stream", &pattern{size: size})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(size)
				for b.Loop() {
					r, err := s.Get(b.Context(), ref)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					if err := r.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLargeRoundTrip reports the peak heap while 2 GiB are written and
// read. It needs 2 GiB of free disk.
func BenchmarkLargeRoundTrip(b *testing.B) {
	const size = 2 << 30
	s := openFolder(b)
	b.SetBytes(2 * size)
	var peak uint64
	for b.Loop() {
		peak = max(peak, artifacttest.PeakHeap(func() { roundTrip(b, s, "large", size) }))
		if err := s.Delete(b.Context(), "large"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}
