package publishing

import "sync"

// News holds the runs that were published to the Hub since they were written.
// Such a run may be tracked already by a snapshot that was taken before, so its
// sequences do not show that it has to be written again.
type News struct {
	mu   sync.Mutex
	runs map[string]int // how many facts came
}

// Add notes a fact about a run.
func (p *News) Add(run string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		p.runs = map[string]int{}
	}
	p.runs[run]++
}

// Count is how many facts came.
func (p *News) Count(run string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[run]
}

// Written forgets so many facts of a run, which are written.
func (p *News) Written(run string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := p.runs[run] - n; left > 0 {
		p.runs[run] = left
	} else {
		delete(p.runs, run)
	}
}
