package worker

import (
	"errors"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// TestClaimerClaim: the sequence of the started fact is the attempt's token. A
// later attempt sweeps and publishes the step that it wants to resume from.
func TestClaimerClaim(t *testing.T) {
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
			err := (&claimer{journal: streams, registry: &c.registry, worker: "w", sweep: func() { sweeps++ }}).claim(t.Context(), a)
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
			if fact.Attempt != c.attempt || fact.ResumedFrom != c.from || fact.Worker != "w" || fact.Engine != "builtin" {
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
