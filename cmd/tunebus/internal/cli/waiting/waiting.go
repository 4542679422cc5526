// Package waiting finds the requests that wait for intake: they are stored, and no intake has
// looked at them.
package waiting

import (
	"cmp"
	"context"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/services/intake/request"
)

// Request is a request that waits.
type Request struct {
	// RunID is the id that its run gets, and RunName its name if the request has one.
	RunID, RunName string
	Labels         map[string]string
	// Sequence is its place in the stream, and At when it was stored.
	Sequence uint64
	At       time.Time
}

// Each calls each for every request that waits, the oldest first.
func Each(ctx context.Context, b *conn.Conn, each func(Request) error) error {
	return requestlog.New(b).EachPending(ctx, runOf, func(r requestlog.Request) error {
		asked, _ := r.Event.(events.PipelineRequested)
		return each(Request{RunID: runOf(r), RunName: asked.RunName, Labels: asked.Labels, Sequence: r.Sequence, At: r.Time})
	})
}

// runOf is the id that the run of a request gets.
func runOf(r requestlog.Request) string {
	asked, _ := r.Event.(events.PipelineRequested)
	return cmp.Or(asked.RunID, request.RunID(r.Stream, r.Sequence, r.Time))
}
