package checkpoint

import (
	"context"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Entry names a job that has checkpoints.
type Entry struct {
	Run   string
	Phase events.Phase
	// Time is when the newest checkpoint was saved or claimed.
	Time time.Time
}

// List calls each for every job that has checkpoints, page by page.
func (r *Registry) List(ctx context.Context, each func(Entry) error) error {
	prefix := "$KV." + topology.BucketCheckpoints + "."
	return r.stored.Scan(ctx, "KV_"+topology.BucketCheckpoints, streams.FromSequence(1), prefix+">", func(m streams.Message) error {
		// A client's marker of a removed key, and the server's.
		if m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != "" {
			return nil
		}
		run, p, _ := strings.Cut(strings.TrimPrefix(m.Subject, prefix), ".")
		return each(Entry{Run: run, Phase: events.Phase(p), Time: m.Time})
	})
}
