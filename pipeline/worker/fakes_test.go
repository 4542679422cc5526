package worker

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStreams is a journal and a history in memory.
type fakeStreams struct {
	refuse func(ev events.Event) error // nil: every publish succeeds

	mu        sync.Mutex
	published []events.Event
	metrics   []events.Event
	fences    []journal.Fence
	next      []events.Fact // facts whose next event was published
	run       events.Run
	readErr   error
}

func (s *fakeStreams) Publish(_ context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(ev); err != nil {
			return codec.Message{}, err
		}
	}
	s.published, s.fences = append(s.published, ev), append(s.fences, fence)
	return codec.Message{Event: ev, Subject: ev.Subject(), Sequence: uint64(100 + len(s.published))}, nil
}

func (s *fakeStreams) PublishNext(_ context.Context, stored events.Fact, _ events.Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, stored)
	return nil
}

func (s *fakeStreams) PublishMetric(_ context.Context, ev events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics = append(s.metrics, ev)
	return nil
}

func (s *fakeStreams) RunForJob(context.Context, events.PhaseRequested) (events.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run, s.readErr
}

func (s *fakeStreams) ReadMetrics(context.Context, string, events.Phase, func(events.Event)) error {
	return nil
}

func (s *fakeStreams) set(run events.Run, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run, s.readErr = run, err
}

// fakeRegistry is a checkpoint registry in memory, of one job.
type fakeRegistry struct {
	newest            checkpoint.Checkpoint
	loadErr, claimErr error
	deleted           int
	failures          int   // of Load and Delete, before they succeed
	failure           error // the error of these
}

// fail returns the error of one more failure.
func (r *fakeRegistry) fail() error {
	if r.failures == 0 {
		return nil
	}
	r.failures--
	return r.failure
}

func (r *fakeRegistry) Load(context.Context, string, events.Phase) (checkpoint.Checkpoint, error) {
	if err := r.fail(); err != nil {
		return checkpoint.Checkpoint{}, err
	}
	if r.loadErr == nil && r.newest.Step == 0 {
		return checkpoint.Checkpoint{}, checkpoint.ErrNone
	}
	return r.newest, r.loadErr
}

func (r *fakeRegistry) Claim(ctx context.Context, run string, p events.Phase, _ int) (checkpoint.Checkpoint, error) {
	if r.claimErr != nil {
		return checkpoint.Checkpoint{}, r.claimErr
	}
	return r.Load(ctx, run, p)
}

func (r *fakeRegistry) Save(_ context.Context, _ string, _ events.Phase, cp checkpoint.Checkpoint, _ int) (checkpoint.Checkpoint, []checkpoint.Checkpoint, error) {
	r.newest = cp
	return cp, nil, nil
}

func (r *fakeRegistry) Delete(context.Context, string, events.Phase) error {
	r.deleted++
	return r.fail()
}

// fakeStore is an artifact store of keys without content.
type fakeStore struct {
	keys []string
	err  error                            // of every call
	bad  func(ref events.Reference) error // of a fetch
}

func (s *fakeStore) PutFile(_ context.Context, key, _, _ string) (events.Reference, error) {
	return s.put(key)
}

func (s *fakeStore) PutDir(_ context.Context, key, _ string) (events.Reference, error) {
	return s.put(key)
}

func (s *fakeStore) put(key string) (events.Reference, error) {
	if s.err != nil {
		return events.Reference{}, s.err
	}
	s.keys = append(s.keys, key)
	return events.Reference{Key: key}, nil
}

func (s *fakeStore) Fetch(_ context.Context, ref events.Reference, _ string) error {
	if s.bad != nil {
		return s.bad(ref)
	}
	return s.err
}

func (s *fakeStore) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	return s.Fetch(ctx, ref, dir)
}

func (s *fakeStore) Open(ctx context.Context, ref events.Reference, path string) error {
	return s.Fetch(ctx, ref, path)
}

func (s *fakeStore) OpenDir(ctx context.Context, ref events.Reference, dir string) error {
	return s.Fetch(ctx, ref, dir)
}

func (s *fakeStore) List(context.Context, string) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		for _, key := range slices.Clone(s.keys) {
			if !yield(artifact.Object{Key: key}, nil) {
				return
			}
		}
	}
}

func (s *fakeStore) Delete(_ context.Context, key string) error {
	s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return k == key })
	return s.err
}

// fakeSubscription is woken by the test.
type fakeSubscription struct {
	c       chan struct{}
	ignored []string
}

func newFakeSubscription() *fakeSubscription { return &fakeSubscription{c: make(chan struct{}, 1)} }

func (s *fakeSubscription) C() <-chan struct{}    { return s.c }
func (s *fakeSubscription) Ignore(subject string) { s.ignored = append(s.ignored, subject) }
func (s *fakeSubscription) Close()                {}

// job is the job of the tests.
var job = events.PhaseRequested{RunID: "r", Phase: events.Finetune}

// newTestAttempt is the next attempt at the job of a run with some facts.
func newTestAttempt(registry checkpointing.Registry, facts ...events.Fact) *attempt {
	a := newAttempt(job, events.Fold(facts), 0, slog.New(slog.DiscardHandler))
	a.checkpoints = checkpointing.NewSaver(a.checkpointJob(), checkpointing.SaverConfig{
		Registry:  registry,
		Files:     &fakeStore{},
		Store:     &fakeStore{},
		Connected: func() bool { return true },
	})
	a.stopHeartbeat = func() {}
	return a
}

func started(attempt int) events.PhaseStarted {
	return events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: attempt}
}

// fakeExecution is an engine's work that has ended.
type fakeExecution struct {
	res        engine.Result
	historyErr error
	closed     bool
	discarded  bool
}

func (x *fakeExecution) result() engine.Result { return x.res }

func (x *fakeExecution) storeHistory(_ context.Context, res *engine.Result) error {
	if x.historyErr == nil {
		res.Artifacts = append(res.Artifacts, events.Artifact{Name: events.ArtifactMetrics})
	}
	return x.historyErr
}

func (x *fakeExecution) closeMetrics(context.Context) { x.closed = true }
func (x *fakeExecution) discard()                     { x.discarded = true }
