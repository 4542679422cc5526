package bustest_test

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"context"
	"strings"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// fenced returns the fence's refusal, or nil if err is another error.
func fenced(err error) *journal.FencedError {
	refusal, _ := errors.AsType[*journal.FencedError](err)
	return refusal
}

// TestJournalPublishRaceHasOneWinner: many publish the same claim at once, and
// one succeeds.
func TestJournalPublishRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	facts := journal.New(c)
	const racers = 64
	var won, refused int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			_, err := facts.Publish(t.Context(), started(1), journal.FenceAbsent(completed(1).Subject()))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case fenced(err) != nil:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "publishes that succeeded", won, 1)
	wantEqual(t, "publishes that were refused", refused, racers-1)
}

func TestJournalPublishRefusesStaleToken(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	facts := journal.New(c)
	for n := range 2 {
		if _, err := facts.Publish(t.Context(), started(n+1), journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	fence := journal.FenceAttempt(events.Finetune, "r1", 2)
	_, err := facts.Publish(t.Context(), completed(1), journal.FenceAttempt(events.Finetune, "r1", 1))
	if refusal := fenced(err); refusal == nil || refusal.Winner != "" {
		t.Fatalf("completed by a stale attempt: %v, want a FencedError without a winner", err)
	}
	if _, err := facts.Publish(t.Context(), completed(2), fence); err != nil {
		t.Fatal(err)
	}
	// The publisher may have lost the reply, so it publishes the same event again.
	if _, err := facts.Publish(t.Context(), completed(2), fence); err != nil {
		t.Fatalf("the same event again: %v", err)
	}
	_, err = facts.Publish(t.Context(), started(3), journal.FenceAbsent(completed(2).Subject()))
	if fenced(err) == nil {
		t.Fatalf("started after completed: %v, want a FencedError", err)
	}
	run, err := history.New(c).Run(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Phases[events.Finetune]; len(got.Attempts) != 2 || got.Completed == nil || got.Completed.Attempt != 2 {
		t.Errorf("the phase is %+v", got)
	}
}

// TestJournalPublishWaitsForFullStream: while the stream is full, Publish retries
// and logs that. It succeeds once the stream has room.
func TestJournalPublishWaitsForFullStream(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{FactBytes: 64 << 10})
	filler := strings.Repeat("x", 2<<10) // less than the event that is published then
	for i := 0; ; i++ {
		_, err := s.js.Publish(t.Context(), events.AttemptEnded{RunID: "fill", Phase: events.Finetune, Attempt: i + 1}.Subject(), []byte(filler))
		if err != nil {
			break
		}
		if i > 100 {
			t.Fatal("the stream does not get full")
		}
	}
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: strings.Repeat("x", events.MaxErrorBytes)}}
	done := make(chan error, 1)
	go func() {
		_, err := journal.New(s.conn).Publish(t.Context(), big, journal.Fence{})
		done <- err
	}()
	eventually(t, "the full stream is logged", func() bool { return s.log.contains("the stream is full") })
	select {
	case err := <-done:
		t.Fatalf("it returned while the stream was full: %v", err)
	default:
	}
	if err := topology.Apply(t.Context(), s.conn, topology.Topology{FactBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := history.New(s.conn).Latest(t.Context(), big.Subject()); err != nil {
		t.Error(err)
	}
}

// TestJournalPublishToFullStreamEndsWithContext: while the stream is full, Publish
// waits no longer than its context.
func TestJournalPublishToFullStreamEndsWithContext(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{FactBytes: 2 << 10})
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: strings.Repeat("x", 4<<10)}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := journal.New(s.conn).Publish(ctx, big, journal.Fence{})
	if !errors.Is(err, context.DeadlineExceeded) || fenced(err) != nil {
		t.Errorf("got %v, want the error of the context", err)
	}
}

// TestJournalPublishReadsBackLostReply: the server stored the event, but its reply
// was lost. Publish finds the event in the stream and succeeds.
func TestJournalPublishReadsBackLostReply(t *testing.T) {
	t.Parallel()
	for name, fence := range map[string]journal.Fence{"no fence": {}, "first claim": journal.FenceAbsent(completed(1).Subject())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{})
			proxy := bustest.NewProxy(t, s.server.URL())
			client := s.connect(t, proxy.URL)
			proxy.DropReplies()
			done := make(chan error, 1)
			go func() {
				_, err := journal.New(client).Publish(t.Context(), started(1), fence)
				done <- err
			}()
			eventually(t, "the event is stored", func() bool {
				_, err := history.New(s.conn).Latest(t.Context(), started(1).Subject())
				return err == nil
			})
			proxy.Cut()
			proxy.Restore()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			run, err := history.New(s.conn).Run(t.Context(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			if n := len(run.Phases[events.Finetune].Attempts); n != 1 {
				t.Errorf("%d attempts are stored", n)
			}
		})
	}
}

// TestJournalPublishNamesWinner: two workers claim the same attempt. The refusal of
// the second one names the first one's event.
func TestJournalPublishNamesWinner(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	fence := journal.FenceAbsent(completed(1).Subject())
	first, err := journal.New(s.conn).Publish(t.Context(), started(1), fence)
	if err != nil {
		t.Fatal(err)
	}
	other := started(1)
	other.Worker = "another"
	_, err = journal.New(s.conn).Publish(t.Context(), other, fence)
	if refusal := fenced(err); refusal == nil || refusal.Winner != first.ID {
		t.Fatalf("got %v, want %s as the winner", err, first.ID)
	}
	stored, err := history.New(s.conn).Latest(t.Context(), started(1).Subject())
	if err != nil || stored.Event.(events.PhaseStarted).Worker != "w" {
		t.Errorf("the stored event is %+v, %v", stored.Event, err)
	}
}

// TestJournalPublishOnUndecodableMessage: a message that cannot be decoded occupies
// its subject as well. Publish returns a FencedError instead of retrying.
func TestJournalPublishOnUndecodableMessage(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	s.publishRaw(t, completed(1).Subject(), "\x00 no event", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, fence := range map[string]journal.Fence{"no fence": {}, "fence": journal.FenceAbsent(completed(1).Subject())} {
		ev := events.Event(completed(1))
		if name == "fence" {
			ev = started(1)
		}
		if _, err := journal.New(s.conn).Publish(ctx, ev, fence); fenced(err) == nil {
			t.Errorf("%s: %v, want a FencedError", name, err)
		}
	}
}

// TestJournalPublishOfRemovedRun: what was derived from a run that was archived or
// deleted meanwhile is refused, once and for all.
func TestJournalPublishOfRemovedRun(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	last, err := journal.New(s.conn).Publish(t.Context(), completed(1), journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.New(s.conn).PurgeRun(t.Context(), "r1", last.Sequence); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = journal.New(s.conn).Publish(ctx, events.TrackingCompleted{RunID: "r1"}, journal.FenceLatest(events.RunLevelFilter("r1"), last.Sequence))
	if refusal := fenced(err); refusal == nil || !refusal.Removed || refusal.Winner != "" {
		t.Errorf("got %v, want a refusal that says that the run was removed", err)
	}
}

// TestPublishNextOfRunThatWasReadTooEarly: the end of a run names every phase, also
// where the process that publishes it read the run from a replica that did not have
// the newest facts yet. The end of a phase that cannot be read stays away.
func TestPublishNextOfRunThatWasReadTooEarly(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := journal.New(s.conn)
	for run, readable := range map[string]bool{"r1": true, "r2": false} {
		accepted := events.PipelineAccepted{RunID: run, RequestedAt: at}
		facts := []events.Fact{accepted}
		for i, p := range events.Phases() {
			accepted.Plan = append(accepted.Plan, events.Step{Phase: p, Queue: "builtin"})
			began := at.Add(time.Duration(i) * time.Minute)
			facts = append(facts, events.PhaseCompleted{
				RunID: run, Phase: p, Attempt: 1, Conclusion: events.Success, StartedAt: began, EndedAt: began.Add(time.Minute),
			})
		}
		facts[0] = accepted
		for i, f := range facts {
			if i == 2 && !readable {
				s.publishRaw(t, f.Subject(), "{", nil)
			} else if _, err := j.Publish(t.Context(), f, journal.Fence{}); err != nil {
				t.Fatal(err)
			}
		}
		last := facts[3]
		if err := j.PublishNext(t.Context(), last, events.Fold(facts[:1])); err != nil {
			t.Fatal(err)
		}
		if !readable {
			facts[2] = last
		}
		want, err := events.Next(last, events.Fold(facts))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := history.New(s.conn).Latest(t.Context(), events.TypePipelineCompleted+"."+run)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(stored.Event, events.Event(want)) {
			t.Errorf("run %s ends with %+v, want %+v", run, stored.Event, want)
		}
	}
}
