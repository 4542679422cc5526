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

// jobOwners returns the ids of the processes that own a job. The stream contains
// them: the newest attempt of a phase names its process, and owns the job until
// the attempt ends. The result is empty if NATS does not answer.
func (c *testDeployment) jobOwners(t *testing.T) map[int]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	facts, err := c.factSubjects(ctx, ">")
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
		if pid, ok := c.workerPID(ctx, started.Subject()); ok {
			pids[pid] = true
		}
	}
	return pids
}

// workerPID returns the process that published a started event.
func (c *testDeployment) workerPID(ctx context.Context, subject string) (pid int, ok bool) {
	s, err := c.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return 0, false
	}
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return 0, false
	}
	var e struct{ Data events.PhaseStarted }
	if json.Unmarshal(msg.Data, &e) != nil {
		return 0, false // the audit reports it
	}
	return audit.PID(e.Data.Worker) // not ok for an event that intake published
}
