package chaos_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/events"
)

// holders are the processes that hold a job, by id, as the stream says: the
// newest attempt of a phase that has not ended names its process. A server that
// does not answer names nobody.
func (c *town) holders(t *testing.T) map[int]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	facts, err := c.subjects(ctx, ">")
	if err != nil {
		return nil
	}
	type job struct {
		phase events.Phase
		run   string
	}
	newest := map[job]int{}
	for subject := range facts {
		a, err := events.ParseSubject(subject)
		if err != nil {
			continue
		}
		p, event, _ := strings.Cut(a.Type, ".")
		if n, err := strconv.Atoi(a.Detail); err == nil && event == events.EventStarted {
			j := job{events.Phase(p), a.Run}
			newest[j] = max(newest[j], n)
		}
	}
	pids := map[int]bool{}
	for j, n := range newest {
		started := events.PhaseStarted{RunID: j.run, Phase: j.phase, Attempt: n}
		ended := events.AttemptEnded{RunID: j.run, Phase: j.phase, Attempt: n}
		if facts[events.CompletedSubject(j.phase, j.run)] || facts[ended.Subject()] {
			continue
		}
		if pid, ok := c.worker(ctx, started.Subject()); ok {
			pids[pid] = true
		}
	}
	return pids
}

// worker is the process that published a start.
func (c *town) worker(ctx context.Context, started string) (pid int, ok bool) {
	s, err := c.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return 0, false
	}
	msg, err := s.GetLastMsgForSubject(ctx, started)
	if err != nil {
		return 0, false
	}
	var e struct{ Data events.PhaseStarted }
	if json.Unmarshal(msg.Data, &e) != nil {
		return 0, false // which is for the audit to find
	}
	return audit.PID(e.Data.Worker) // none of intake's own
}
