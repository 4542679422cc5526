package runwatch

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// Following names a run to follow, and the functions that receive its facts.
type Following struct {
	// Run is the run's id.
	Run string
	// Request is the sequence of the run's request; 0 if it is not known. With
	// it, a run of the same id that another request made is not taken for this
	// one.
	Request uint64
	// Tracking is how long to wait for the run's tracking after its end, and for what
	// it asks to have pushed to the Hub. 0: not at all.
	Tracking time.Duration
	// OnFact is called once for each fact, in the stream's order, also for one
	// that cannot be read.
	OnFact func(codec.Message)
	// OnLook, if set, is called with the run after each look at it, at least every
	// two seconds, until the run has ended.
	OnLook func(ctx context.Context, run events.Run)
	// OnTrouble, if set, is called once each time that NATS ceases to answer.
	// It is asked again for as long as the duration says.
	OnTrouble func(time.Duration, error)
	// OnUnknown is called once if the stream does not hold the run yet: at once if
	// nothing is known of its request, else if intake takes longer than usual.
	OnUnknown func()
}

// intakePatience is how long a request may wait for intake before that is said.
const intakePatience = 3 * time.Second

// Follow follows a run until it has ended, and then until it is tracked and published, or
// f.Tracking has passed. It returns the run as it is then. It goes on when NATS
// does not answer; if that takes minutes, the error is an [*UnansweredError].
func (w *Watcher) Follow(ctx context.Context, f Following) (events.Run, error) {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	wake, err := w.wakeUps(listening, "*.*."+f.Run, "*.*."+f.Run+".*", events.TypePipelineRejected+".*")
	if err != nil {
		return events.Run{}, err
	}
	var limit <-chan time.Time
	lost := time.NewTicker(2 * time.Second) // a wake-up may be lost
	defer lost.Stop()
	r := reader{watcher: w, following: f, begin: time.Now(), seen: map[string]bool{}}
	reads := persistence{onTrouble: f.OnTrouble}
	var run events.Run
	for {
		now, err := r.read(ctx)
		ok, err := reads.read(ctx, err)
		if ok || err != nil && ctx.Err() == nil { // a read that was cut off knows less
			run = now
		}
		if err != nil {
			return run, err
		}
		if ok && run.Completed == nil && f.OnLook != nil {
			f.OnLook(ctx, run)
		}
		if run.Completed != nil {
			if run.Tracked != nil && len(run.Unpublished()) == 0 || f.Tracking == 0 {
				return run, nil
			}
			if limit == nil {
				limit = time.After(f.Tracking)
			}
		}
		select {
		case <-wake:
		case <-lost.C:
		case <-limit:
			return run, nil
		case <-ctx.Done():
			return run, context.Cause(ctx)
		}
	}
}

// reader reads a run again and again, and passes each fact on once.
type reader struct {
	watcher   *Watcher
	following Following
	begin     time.Time
	seen      map[string]bool // subjects of facts that were passed on
	unknown   bool            // OnUnknown was called
	accepted  bool            // the run was there
}

// rejectionPatience is how long intake may take to reject a request for the id of a
// deleted run.
const rejectionPatience = 30 * time.Second

// deleted returns what became of a request whose run id is that of a deleted run. The id
// stays taken, so that intake rejects the request: who leaves before would leave it behind.
func (r *reader) deleted(ctx context.Context, run events.Run, err error) (events.Run, error) {
	if r.following.Request == 0 || r.accepted || time.Since(r.begin) > rejectionPatience {
		return run, err
	}
	return events.Run{ID: run.ID}, r.watcher.rejected(ctx, r.following.Run, r.following.Request)
}

// read reads the run once. The error is also that of a run that was rejected or
// deleted, and of one whose end can never be read.
func (r *reader) read(ctx context.Context) (events.Run, error) {
	f := r.following
	facts, err := r.watcher.facts.Facts(ctx, f.Run)
	if err != nil {
		return events.Run{}, err
	}
	run := history.Fold(facts)
	if a := run.Accepted; f.Request != 0 && a != nil && a.Lineage.RequestSequence != f.Request {
		facts, run = nil, events.Run{ID: f.Run}
	}
	if err := deletedError(run); err != nil {
		return r.deleted(ctx, run, err)
	}
	r.accepted = r.accepted || run.Accepted != nil
	for _, m := range facts {
		if !r.seen[m.Subject] {
			r.seen[m.Subject] = true
			f.OnFact(m)
		}
	}
	if run.Accepted == nil {
		if err := r.watcher.rejected(ctx, f.Run, f.Request); err != nil {
			return run, err
		}
		if !r.unknown && (f.Request == 0 || time.Since(r.begin) > intakePatience) {
			r.unknown = true
			f.OnUnknown()
		}
	}
	if run.Completed == nil {
		return run, endless(facts)
	}
	return run, nil
}

// endless returns the error of a run whose beginning or end is stored and
// cannot be read. Each is stored only once, so there is nothing to wait for.
func endless(facts []codec.Message) error {
	for _, f := range facts {
		a, err := events.ParseSubject(f.Subject)
		if err == nil && f.Unreadable != nil && (a.Type == events.TypePipelineAccepted || a.Type == events.TypePipelineCompleted) {
			return history.Unreadable([]codec.Message{f})
		}
	}
	return nil
}
