package chaos_test

import (
	"testing"
	"time"
)

// maxOpenRuns limits the runs that are in progress at the same time.
const maxOpenRuns = 6

// tickLength is how often a test looks what is due.
const tickLength = 50 * time.Millisecond

// TestChaos submits runs to a deployment with two processes of each service. While
// they work, it kills, pauses and restarts these processes and NATS at random.
// In the end each run has ended once, with an expected conclusion, and nothing
// is left over.
//
// "make chaos" makes the test long. The seed determines the order of the
// faults, as far as the timing of the machine permits.
func TestChaos(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d: %d kills, %d runs or more", *seed, *kills, *runs)
	c := newTestDeployment(t, deploymentOptions{programs: &released, name: "chaos", nodes: 1})
	inj := newFaultInjector(t, c, *kills)
	user := newClient(t, c, inj.random)
	began := time.Now()
	limit := began.Add(3*time.Minute + time.Duration(*kills)*8*time.Second + time.Duration(*runs)*10*time.Second)
	user.submitDuringFaults(t, inj, *kills, limit)
	for (len(user.pending) > 0 || len(inj.disconnected) > 0) && time.Now().Before(limit.Add(time.Minute)) {
		time.Sleep(tickLength) // only asking NATS shows that a process is connected again
		inj.recordReconnects(t)
		user.publishDue(t)
	}
	t.Logf("%4.0f s: no more kills", time.Since(began).Seconds())
	c.startForCancelledJobs(t)
	c.waitUntilIdle(t, 4*time.Minute)
	s := c.audit(t)
	t.Logf("%4.0f s:\n%s", time.Since(began).Seconds(), inj.summary(s))
	inj.checkKills(t)
}

// faults are what a test does to a deployment.
type faults interface {
	// left returns the number of planned faults that are left.
	left() int
	// inject does the next planned fault, if it can be done now.
	inject(t *testing.T)
	// nextPause returns a random time until the next fault.
	nextPause() time.Duration
	// restartDue ends the faults that are due, or all of them.
	restartDue(t *testing.T, all bool)
}

// submitDuringFaults submits runs while faults are injected, until all planned
// faults were injected and enough runs have ended.
func (c *client) submitDuringFaults(t *testing.T, f faults, planned int, limit time.Time) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(tickLength)
	defer tick.Stop()
	var nextFault, nextReport time.Time
	for ended := 0; f.left() > 0 || ended < *runs; <-tick.C {
		now := time.Now()
		f.restartDue(t, false)
		ended = c.countEnded(t)
		if c.openRuns() < maxOpenRuns && (len(c.submitted) < *runs || f.left() > 0) {
			c.submitRun(t)
		}
		c.publishDue(t)
		// The faults are spread over the runs, so that the runs come to an end.
		if now.After(nextFault) && f.left() > 0 && (planned-f.left())**runs <= (ended+4)*planned {
			nextFault = now.Add(f.nextPause())
			f.inject(t)
		}
		if now.After(nextReport) {
			nextReport = now.Add(15 * time.Second)
			t.Logf("%4.0f s: %d of %d faults; %d runs submitted, %d ended",
				now.Sub(began).Seconds(), planned-f.left(), planned, len(c.submitted), ended)
		}
		if now.After(limit) {
			t.Errorf("after %s %d faults are left, and %d runs have ended", now.Sub(began), f.left(), ended)
			break
		}
	}
	f.restartDue(t, true)
}
