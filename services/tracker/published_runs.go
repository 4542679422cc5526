package tracker

import "sync"

// publishedRuns holds the runs that were published to the Hub since they were written.
// Such a run may be tracked already by a snapshot that was taken before, so its
// sequences do not show that it has to be written again.
type publishedRuns struct {
	mu   sync.Mutex
	runs map[string]int // how many facts came
}

// add notes a fact about a run.
func (p *publishedRuns) add(run string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		p.runs = map[string]int{}
	}
	p.runs[run]++
}

// count is how many facts came.
func (p *publishedRuns) count(run string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[run]
}

// written forgets so many facts of a run, which are written.
func (p *publishedRuns) written(run string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := p.runs[run] - n; left > 0 {
		p.runs[run] = left
	} else {
		delete(p.runs, run)
	}
}
