package worker

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
)

// TestClaimerClaim: a job that needs no work is claimed without its checkpoint.
func TestClaimerClaim(t *testing.T) {
	t.Parallel()
	superseded := &checkpoint.SupersededError{Key: "s"}
	fenced := &journal.FencedError{Subject: "s"}
	for name, c := range map[string]struct {
		before   []events.Fact
		claimErr error // of the checkpoint
		refuse   error // of the started fact
		class    retry.Class
		err      error
	}{
		"work to do":                {[]events.Fact{started(1)}, nil, nil, "", nil},
		"checkpoint of a newer one": {[]events.Fact{started(1)}, superseded, nil, "", superseded},
		"cancelled":                 {[]events.Fact{started(1), events.CancelRequested{RunID: "r"}}, superseded, nil, retry.ClassCancelled, nil},
		"another owner":             {[]events.Fact{started(1), events.CancelRequested{RunID: "r"}}, nil, fenced, "", fenced},
	} {
		registry := &fakeRegistry{newest: checkpoint.Checkpoint{Step: 6}, claimErr: c.claimErr}
		streams := &fakeStreams{refuse: func(events.Event) error { return c.refuse }}
		a := newTestAttempt(registry, c.before...)
		end, decided, err := (&claimer{journal: streams, registry: registry, sweep: func() {}}).claim(t.Context(), a)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || end.Class != c.class || decided != (c.class != "") {
			t.Errorf("%s: it ends as %q, decided %v: %v", name, end.Class, decided, err)
		}
	}
}

// TestPublishStarted: the sequence of the started fact is the attempt's token. A
// later attempt sweeps and publishes the step that it wants to resume from.
func TestPublishStarted(t *testing.T) {
	t.Parallel()
	unreachable := errors.New("no answer")
	fenced := &journal.FencedError{Subject: "s"}
	for name, c := range map[string]struct {
		before   []events.Fact
		registry fakeRegistry
		refuse   error
		attempt  int
		from     int64
		sweeps   int
		err      error
	}{
		"first attempt":      {nil, fakeRegistry{loadErr: unreachable}, nil, 1, 0, 0, nil},
		"second attempt":     {[]events.Fact{started(1)}, fakeRegistry{newest: checkpoint.Checkpoint{Step: 6}}, nil, 2, 6, 1, nil},
		"no checkpoint":      {[]events.Fact{started(4)}, fakeRegistry{}, nil, 5, 0, 1, nil},
		"registry away":      {[]events.Fact{started(1)}, fakeRegistry{loadErr: unreachable}, nil, 2, 0, 1, unreachable},
		"claimed by another": {nil, fakeRegistry{}, fenced, 1, 0, 0, fenced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := &fakeStreams{refuse: func(events.Event) error { return c.refuse }}
			sweeps := 0
			a := newTestAttempt(&c.registry, c.before...)
			wakeups := newFakeSubscription()
			a.wakeups = wakeups
			err := (&claimer{journal: streams, registry: &c.registry, worker: "w", engine: "trl", sweep: func() { sweeps++ }}).publishStarted(t.Context(), a)
			if !errors.Is(err, c.err) || c.err == nil && err != nil || sweeps != c.sweeps {
				t.Fatalf("%v after %d sweeps", err, sweeps)
			}
			if err != nil {
				if a.token != 0 || len(streams.published) != 0 {
					t.Errorf("token %d, published %+v", a.token, streams.published)
				}
				return
			}
			fact := streams.published[0].(events.PhaseStarted)
			if fact.Attempt != c.attempt || fact.ResumedFrom != c.from || fact.Worker != "w" || fact.Engine != "trl" {
				t.Errorf("started %+v", fact)
			}
			if a.token != 101 || a.resumeFrom.Step != c.from {
				t.Errorf("token %d, resumes from step %d", a.token, a.resumeFrom.Step)
			}
			if streams.fences[0] != journal.FenceAbsent("finetune.completed.r") {
				t.Errorf("the fence is %+v", streams.fences[0])
			}
			if len(wakeups.ignored) != 1 || wakeups.ignored[0] != fact.Subject() {
				t.Errorf("it ignores %q", wakeups.ignored)
			}
		})
	}
}

// TestClaimerClaimCheckpoint: a newer attempt's checkpoint fences the attempt
// off; a registry that cannot be reached does not.
func TestClaimerClaimCheckpoint(t *testing.T) {
	t.Parallel()
	seen := checkpoint.Checkpoint{Step: 6}
	fenced := &checkpoint.SupersededError{Key: "s"}
	for name, c := range map[string]struct {
		registry fakeRegistry
		from     int64
		err      error
	}{
		"newer checkpoint":   {fakeRegistry{newest: checkpoint.Checkpoint{Step: 9}}, 9, nil},
		"none any more":      {fakeRegistry{}, 0, nil},
		"registry away":      {fakeRegistry{claimErr: errors.New("no answer")}, 6, nil},
		"of a newer attempt": {fakeRegistry{claimErr: fenced}, 6, fenced},
	} {
		a := newTestAttempt(&c.registry, started(1))
		a.resumeFrom = seen
		err := (&claimer{registry: &c.registry}).claimCheckpoint(t.Context(), a)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || a.resumeFrom.Step != c.from {
			t.Errorf("%s: %v, resumes from step %d", name, err, a.resumeFrom.Step)
		}
	}
}

// TestAttemptDecided: how a claimed job ends that needs no work.
func TestAttemptDecided(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := func(facts ...events.Fact) events.Run { return events.Fold(facts) }
	started := func(n int, ago time.Duration) events.PhaseStarted {
		return events.PhaseStarted{RunID: "r", Phase: events.Inference, Attempt: n, StartedAt: now.Add(-ago)}
	}
	failed := events.AttemptEnded{RunID: "r", Phase: events.Inference, Attempt: 1, Reason: events.EndError, Error: &events.Problem{Code: "disk_full", Message: "the disk is full"}}
	for name, c := range map[string]struct {
		run     events.Run
		timeout string
		class   retry.Class // empty: it is worked on
		code    string
		want    []string // in the message
	}{
		"first":             {run: run(), timeout: "1h"},
		"in time":           {run: run(started(1, 59*time.Minute)), timeout: "1h"},
		"no limit":          {run: run(started(1, 1e6*time.Hour))},
		"overdue":           {run(started(1, time.Hour), failed, started(2, time.Minute)), "1h", retry.ClassPermanent, "timeout", []string{"inferencer.timeout = 1h", "2026-01-02T02:04:05Z", "the disk is full"}},
		"an older service":  {run: run(started(1, time.Hour+200*365*24*time.Hour)), timeout: "1000000000h"},
		"cancelled":         {run: run(events.CancelRequested{RunID: "r"}), timeout: "1h", class: retry.ClassCancelled},
		"cancelled in vain": {run(started(1, time.Hour), failed, events.CancelRequested{RunID: "r"}), "", retry.ClassPermanent, "disk_full", []string{"gave up after 1 tries"}},
	} {
		req := events.PhaseRequested{RunID: "r", Phase: events.Inference}
		req.Specification.Inferencer.Timeout = c.timeout
		req.Specification.Pipeline.MaxTries = 2
		if name == "cancelled in vain" {
			req.Specification.Pipeline.MaxTries = 1
		}
		a := newAttempt(req, c.run, 0, slog.New(slog.DiscardHandler))
		a.startedAt = now
		v, ok := a.decided()
		if ok != (c.class != "") || v.Class != c.class {
			t.Errorf("%s: %+v", name, v)
			continue
		}
		if c.code == "" {
			continue
		}
		p := engine.Problem(v.Err)
		for _, want := range c.want {
			if p.Code != c.code || !strings.Contains(p.Message, want) {
				t.Errorf("%s: %+v, want %s and %q", name, p, c.code, want)
			}
		}
	}
}
