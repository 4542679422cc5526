package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// maxOpenRuns limits the runs that are in progress at the same time.
const maxOpenRuns = 6

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
	c := newTestDeployment(t, &released, "chaos", "")
	inj := newFaultInjector(t, c, *kills)
	nc, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: c.url, Name: "client", Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	user := &client{testDeployment: c, random: inj.random, conn: nc}
	began := time.Now()
	limit := began.Add(3*time.Minute + time.Duration(*kills)*8*time.Second + time.Duration(*runs)*10*time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var nextFault, nextReport time.Time
	for ended := 0; len(inj.plan) > 0 || ended < *runs; <-tick.C {
		now := time.Now()
		inj.restartDue(t, false)
		ended = user.countEnded(t)
		if user.openRuns() < maxOpenRuns && (len(c.submitted) < *runs || len(inj.plan) > 0) {
			user.submitRun(t)
		}
		user.publishDue(t)
		// The kills are spread over the runs, so that the runs come to an end.
		if now.After(nextFault) && len(inj.plan) > 0 && (*kills-len(inj.plan))**runs <= (ended+4)**kills {
			nextFault = now.Add(inj.randomDuration(100*time.Millisecond, 1200*time.Millisecond))
			inj.inject(t)
		}
		if now.After(nextReport) {
			nextReport = now.Add(15 * time.Second)
			t.Logf("%4.0f s: %d of %d kills; %d runs submitted, %d ended",
				now.Sub(began).Seconds(), *kills-len(inj.plan), *kills, len(c.submitted), ended)
		}
		if now.After(limit) {
			t.Errorf("after %s %d kills are left, and %d runs have ended", now.Sub(began), len(inj.plan), ended)
			break
		}
	}
	inj.restartDue(t, true)
	for (len(user.pending) > 0 || len(inj.disconnected) > 0) && time.Now().Before(limit.Add(time.Minute)) {
		<-tick.C
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
