package artifacttest

import (
	"runtime"
	"time"
)

// PeakHeap runs work and returns the largest increase of the heap in use during
// that time, in bytes. A test that uses it can not run in parallel, because it
// measures the heap of the whole program.
func PeakHeap(work func()) uint64 {
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
