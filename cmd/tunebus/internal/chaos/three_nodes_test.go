package chaos_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// TestThreeNodes submits runs to two processes of each service on a cluster of
// three NATS servers, each of which has a copy of every stream. While they work,
// it kills and pauses services and nodes, moves leaders, and loses what the
// nodes answer. In the end each run has ended once, with an expected conclusion,
// and nothing is left over. No run stood still for longer than it takes to find
// out that a worker hangs.
//
// "make chaos NODES=3" makes the test long. It runs alone: an election takes
// many times as long on a busy machine.
func TestThreeNodes(t *testing.T) { //nolint:paralleltest // see above
	t.Logf("seed %d: %d strikes, %d runs or more", *seed, *strikes, *runs)
	c := newTestDeployment(t, deploymentOptions{programs: &released, name: "nodes", nodes: 3, env: stallSettings()})
	s := newStriker(t, c, *strikes)
	user := newClient(t, c, s.random)
	s.requestWork = func(t *testing.T) {
		t.Helper()
		if user.openRuns() < maxOpenRuns+2 {
			user.submitRun(t)
			user.publishDue(t)
		}
	}
	limit := s.began.Add(5*time.Minute + time.Duration(*strikes)*15*time.Second + time.Duration(*runs)*20*time.Second)
	user.submitDuringFaults(t, s, *strikes, limit)
	processes.Eventually(t, 2*time.Minute, "all requests are published and all outages are over", func() error {
		user.publishDue(t)
		s.endOutages(t)
		if len(user.pending) > 0 || len(s.disconnected) > 0 {
			return fmt.Errorf("%d messages are pending, %d processes are disconnected", len(user.pending), len(s.disconnected))
		}
		return nil
	})
	t.Logf("%6.1f s: no more strikes", time.Since(s.began).Seconds())
	c.startForCancelledJobs(t)
	c.waitUntilIdle(t, 5*time.Minute)
	processes.Eventually(t, 2*time.Minute, "all copies of the streams are up to date", func() error {
		return c.checkNodes(t.Context(), true)
	})
	// A worker that was paused beyond the end of its phase and then killed cannot
	// remove what it stored. Garbage collection is for that.
	unreferenced := c.countArtifacts(t)
	c.collectGarbage(t)
	unreferenced -= c.countArtifacts(t)
	state := c.audit(t)
	if *keep != "" {
		writeTimeline(t, c.in("timeline.txt"), state)
	}
	longest := checkStandstills(t, state)
	t.Logf("%6.1f s:\n%s", time.Since(s.began).Seconds(), s.summary(state, longest, unreferenced))
	if err := s.checkStrikes(); err != nil {
		t.Error(err)
	}
}

// countArtifacts returns the number of files in the artifact store.
func (c *testDeployment) countArtifacts(t *testing.T) (n int) {
	t.Helper()
	var s snapshot.State
	if err := snapshot.ReadArtifacts(c.in("artifacts"), &s); err != nil {
		t.Fatal(err)
	}
	return len(s.Artifacts)
}

// checkStrikes returns an error if the strikes prove too little: at least a
// third of them must have hit a process that held work.
func (s *striker) checkStrikes() error {
	total, hit := 0, 0
	for kind, n := range s.strikes {
		total += n
		hit += s.hitWork[kind]
	}
	if total < *strikes || 3*hit < total {
		return fmt.Errorf("%d strikes hit %d processes that held work; want %d, and at least a third of them", total, hit, *strikes)
	}
	if s.left() > 0 {
		return errors.New("strikes are left")
	}
	return nil
}

// summary returns a table of the strikes and of their effects.
func (s *striker) summary(state snapshot.State, longest standstill, unreferenced int) string {
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(out, "%s\t%v\n", name, value) } // into memory
	total, hit := 0, 0
	for _, kind := range slices.Sorted(maps.Keys(s.strikes)) {
		row(string(kind), fmt.Sprintf("%d, %d of them with work", s.strikes[kind], s.hitWork[kind]))
		total += s.strikes[kind]
		hit += s.hitWork[kind]
	}
	row("strikes", fmt.Sprintf("%d, %d of them with work", total, hit))
	for _, program := range slices.Sorted(maps.Keys(s.workByOwner)) {
		row("with work: "+program, s.workByOwner[program])
	}
	row("longest standstill", fmt.Sprintf("%s; allowed are %s", longest, standstillLimit))
	row("artifacts left to the garbage collection", unreferenced)
	addOutcome(row, state)
	_ = out.Flush() // into memory
	return b.String()
}
