package runindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Index is the list of all runs of a server.
type Index struct {
	conn    *conn.Conn
	history *history.History
	stored  streams.Reader
	runs    runReader
	pages   pageStore
}

// New returns the index of a server.
func New(c *conn.Conn) *Index {
	facts, stored := history.New(c), streams.New(c)
	return &Index{conn: c, history: facts, stored: stored, runs: runReader{facts, stored}, pages: pageStore{c, stored}}
}

// State says how far the lines are.
type State struct {
	// Through is the newest fact that is in the lines; 0 if there are no lines, or
	// not all of them yet.
	Through uint64
	// Newest is the newest fact of the stream.
	Newest uint64

	// Trouble is why the lines cannot be read; nil also where there are none yet.
	Trouble error

	stored   storedState
	revision uint64
	created  time.Time // the stream of facts
}

// Behind is how many facts the lines lack at most.
func (s State) Behind() uint64 { return s.Newest - min(s.Newest, s.Through) }

// storedState is the value of the key that tells the state.
type storedState struct {
	Through uint64 `json:"through"`
	// Filled is the accepted fact up to which a new bucket is filled, while Through
	// is 0; Goal is the newest fact when the filling began.
	Filled uint64 `json:"filled,omitempty"`
	Goal   uint64 `json:"goal,omitempty"`
	// Stream is when the stream of facts was created that the lines are about.
	Stream time.Time `json:"stream"`
}

// State reads how far the lines are. Without a bucket there are none, and where it
// cannot be read the facts still can.
func (x *Index) State(ctx context.Context) (State, error) {
	var s State
	err := x.conn.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, events.StreamFacts)
		if err == nil {
			s.Newest, s.created = stream.CachedInfo().State.LastSeq, stream.CachedInfo().Created
		}
		return err
	})
	if err != nil {
		return State{}, fmt.Errorf("look at stream %s: %w", events.StreamFacts, err)
	}
	bucket, err := x.conn.Bucket(ctx, topology.BucketRuns)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return s, nil
	}
	if err != nil {
		s.Trouble = err
		return s, ctx.Err()
	}
	value, revision, err := bucket.Get(ctx, stateKey)
	switch {
	case errors.Is(err, conn.ErrKeyNotFound):
		return s, nil
	case err != nil:
		s.Trouble = fmt.Errorf("read how far the list of runs is: %w", err)
		return s, ctx.Err()
	}
	s.revision = revision
	var stored storedState
	// Lines of another stream, or from behind the end of one that was restored,
	// are worth nothing.
	if json.Unmarshal(value, &stored) == nil && stored.Stream.Equal(s.created) && stored.Through <= s.Newest && stored.Filled <= s.Newest {
		s.stored, s.Through = stored, stored.Through
	}
	return s, nil
}

// putState stores how far the lines are, unless somebody else did meanwhile.
func (x *Index) putState(ctx context.Context, s *State, to storedState) error {
	bucket, err := x.conn.Bucket(ctx, topology.BucketRuns)
	if err != nil {
		return err
	}
	to.Stream = s.created
	value, err := json.Marshal(to)
	if err != nil {
		return err
	}
	if s.revision == 0 {
		s.revision, err = bucket.Create(ctx, stateKey, value)
	} else {
		s.revision, err = bucket.Update(ctx, stateKey, value, s.revision)
	}
	if err != nil {
		return fmt.Errorf("note how far the list of runs is: %w", err)
	}
	s.stored, s.Through = to, to.Through
	return nil
}
