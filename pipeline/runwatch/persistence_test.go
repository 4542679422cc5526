package runwatch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
)

// unanswered is the error of a request without an answer.
var unanswered = &conn.NoReplyError{Op: conn.GetBatch, Server: "nats.example:4222", Err: context.DeadlineExceeded}

// facts answers each read with the next error; the last one stays. Without an
// error the run has ended.
type facts struct{ errs []error }

func (f *facts) next() error {
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	if len(f.errs) > 1 {
		f.errs = f.errs[1:]
	}
	return err
}

func (f *facts) Facts(context.Context, string) ([]codec.Message, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	accepted, completed := events.PipelineAccepted{RunID: "r", Lineage: events.Lineage{RequestSequence: 7}}, events.PipelineCompleted{RunID: "r", Conclusion: events.Success}
	return []codec.Message{{Event: accepted, Subject: accepted.Subject()}, {Event: completed, Subject: completed.Subject()}}, nil
}

func (f *facts) Latest(context.Context, string) (codec.Message, error) {
	if err := f.next(); err != nil {
		return codec.Message{}, err
	}
	return codec.Message{}, history.ErrNotFound
}

func (f *facts) Rejection(context.Context, string) (*runlister.Rejected, error) { return nil, nil }

// follow follows the run r, and counts what it says of trouble.
func follow(ctx context.Context, f *facts) (run events.Run, said int, err error) {
	wakeUps := func(context.Context, ...string) (<-chan struct{}, error) { return nil, nil }
	w := &Watcher{facts: f, rejections: f, wakeUps: wakeUps}
	run, err = w.Follow(ctx, Following{
		Run: "r", Request: 0,
		OnFact:    func(codec.Message) {},
		OnTrouble: func(time.Duration, error) { said++ },
		OnUnknown: func() {},
	})
	return run, said, err
}

// TestFollowGoesOnWithoutAnswers: reads that get no answer are tried again, and
// that is said once.
func TestFollowGoesOnWithoutAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, said, err := follow(t.Context(), &facts{errs: []error{unanswered, unanswered, unanswered, nil}})
		if err != nil || run.Completed == nil || said != 1 {
			t.Errorf("%v, the run has ended with %+v, said %d times", err, run.Completed, said)
		}
	})
}

// pendingRun holds a run once a time has come.
type pendingRun struct {
	facts
	until time.Time
}

func (u *pendingRun) Facts(ctx context.Context, run string) ([]codec.Message, error) {
	if time.Now().Before(u.until) {
		return nil, nil
	}
	return u.facts.Facts(ctx, run)
}

// TestFollowSaysThatIntakeIsMissing: who waits for a request that no intake looks
// at is told once; a decision that comes at once is no cause for it.
func TestFollowSaysThatIntakeIsMissing(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]int{time.Second: 0, time.Minute: 1} {
		synctest.Test(t, func(t *testing.T) {
			said := 0
			u := &pendingRun{until: time.Now().Add(after)}
			wakeUps := func(context.Context, ...string) (<-chan struct{}, error) { return nil, nil }
			_, err := (&Watcher{facts: u, rejections: u, wakeUps: wakeUps}).Follow(t.Context(), Following{
				Run: "r", Request: 7,
				OnFact:    func(codec.Message) {},
				OnUnknown: func() { said++ },
			})
			if err != nil || said != want {
				t.Errorf("decided after %s: %v, said %d times, want %d", after, err, said, want)
			}
		})
	}
}

// TestFollowGivesUp: without any answer it gives up after half a minute; a
// refusal ends it at once.
func TestFollowGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, said, err := follow(t.Context(), &facts{errs: []error{unanswered}})
		away, ok := errors.AsType[*UnansweredError](err)
		if took := time.Since(begin); !ok || away.For <= firstPatience || took > firstPatience+5*time.Second || said != 1 {
			t.Errorf("%v after %s, said %d times", err, took, said)
		}
		refused := errors.New("permission denied")
		begin = time.Now()
		if _, said, err := follow(t.Context(), &facts{errs: []error{refused}}); !errors.Is(err, refused) || said != 0 || time.Since(begin) != 0 {
			t.Errorf("a refusal: %v after %s, said %d times", err, time.Since(begin), said)
		}
	})
}

// TestEachOutageIsSaid: a wait of hours says of each time that NATS does not answer
// that it waits, and for how long it asks.
func TestEachOutageIsSaid(t *testing.T) {
	t.Parallel()
	var said []time.Duration
	p := persistence{onTrouble: func(limit time.Duration, _ error) { said = append(said, limit) }}
	for _, err := range []error{unanswered, unanswered, nil, unanswered, unanswered, nil} {
		if _, end := p.read(t.Context(), err); end != nil {
			t.Fatal(end)
		}
	}
	if want := []time.Duration{firstPatience, patience}; !slices.Equal(said, want) {
		t.Errorf("said with %v, want %v", said, want)
	}
}

// TestPersistenceAfterARead: after something was read, every error passes but
// those of the run, for ten minutes.
func TestPersistenceAfterARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p persistence
		if ok, err := p.read(t.Context(), nil); !ok || err != nil {
			t.Fatalf("%t, %v", ok, err)
		}
		election := errors.New("no leader")
		for range 10 {
			if ok, err := p.read(t.Context(), election); ok || err != nil {
				t.Fatalf("%t, %v", ok, err)
			}
			time.Sleep(time.Minute) // of the bubble's clock
		}
		time.Sleep(time.Second)
		if _, err := p.read(t.Context(), election); !errors.Is(err, election) {
			t.Errorf("after ten minutes: %v", err)
		}
		rejected := &RejectedError{}
		if _, err := (&persistence{succeeded: true}).read(t.Context(), rejected); !errors.Is(err, error(rejected)) {
			t.Errorf("a rejection: %v", err)
		}
	})
}
