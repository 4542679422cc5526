package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// Preparation publishes what an attempt tells of its work before the first step.
// None of it is a part of the history. It is safe for concurrent use.
type Preparation struct {
	cfg Config

	mu        sync.Mutex
	announced time.Time // when the rows were published last
}

// Announce publishes a warning at once, or else now and then how many rows are
// prepared. What ends at once is never published.
func (p *Preparation) Announce(ctx context.Context, done, total int64, warning string) {
	ev := events.Progress{RunID: p.cfg.RunID, Phase: p.cfg.Phase, Attempt: p.cfg.Attempt, Stage: events.StagePrepare}
	if warning != "" {
		ev.Warnings = []string{redaction.Addresses(warning)}
	} else if ev.Step, ev.Total = done, total; !p.due(time.Now()) {
		return
	}
	if err := p.cfg.Publisher.PublishMetric(ctx, ev); err != nil {
		p.cfg.Logger.DebugContext(ctx, "preparation not published", "error", err)
	}
}

func (p *Preparation) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.announced.IsZero()
	if !first && now.Sub(p.announced) < publishInterval {
		return false
	}
	p.announced = now
	return !first
}
