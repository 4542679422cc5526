package joblog

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Progress writes lines about the steps of an attempt, one now and then.
type Progress struct {
	log *Log

	mu          sync.Mutex
	began, last time.Time
}

const (
	// progressInterval is how often a step is worth a line.
	progressInterval = 10 * time.Second
	// shortWork is work whose end says it all.
	shortWork = 2 * time.Second
)

// Progress returns what writes about the steps.
func (l *Log) Progress() *Progress { return &Progress{log: l, began: time.Now(), last: time.Now()} }

// Step writes about a step, if it is the last one, or the last line is long ago.
func (p *Progress) Step(step, total int64, points []events.Point) {
	p.mu.Lock()
	defer p.mu.Unlock()
	isLast := step == total && time.Since(p.began) > shortWork
	if !isLast && time.Since(p.last) < progressInterval {
		return
	}
	p.last = time.Now()
	var b strings.Builder
	fmt.Fprintf(&b, "step %d", step)
	if total > 0 {
		fmt.Fprintf(&b, " of %d", total)
	}
	for _, point := range points {
		fmt.Fprintf(&b, " %s=%.4g", point.Key, point.Value)
	}
	p.log.Write(Info, b.String())
}
