package artifact

import (
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
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

// peakHeap runs work and returns the largest increase of the heap in use
// during that time, in bytes.
func peakHeap(work func()) uint64 {
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before := inUse()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		highest := before
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				highest = max(highest, inUse())
			case <-done:
				peak <- max(highest, inUse()) - before
				return
			}
		}
	}()
	work()
	close(done)
	return <-peak
}

// roundTrip writes and reads an artifact of size bytes.
func roundTrip(t testing.TB, s *Store, key string, size int64) {
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
	s, _ := newStore(t)
	peak := peakHeap(func() { roundTrip(t, s, "large", size) })
	if peak > limit {
		t.Errorf("a round trip of %d MiB had up to %d MiB in memory, want at most %d", size>>20, peak>>20, limit>>20)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 64 << 20} {
		for _, name := range []string{"files", "memory bucket"} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				s, err := New(b.Context(), backends()[name](b))
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
				s, err := New(b.Context(), backends()[name](b))
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
	s, _ := newStore(b)
	b.SetBytes(2 * size)
	var peak uint64
	for b.Loop() {
		peak = max(peak, peakHeap(func() { roundTrip(b, s, "large", size) }))
		if err := s.Delete(b.Context(), "large"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}
