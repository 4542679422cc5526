package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// underWay is how many runs there are at the same time.
const underWay = 6

// TestChaos asks for runs of two of each service and a server, and kills,
// pauses and restarts all of them at random meanwhile. In the end every run
// has ended once, as it should, and nothing is left. "make chaos" makes it
// long; what happens when follows from the seed, as far as the machine's
// timing lets it.
func TestChaos(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d: %d kills, %d runs or more", *seed, *kills, *runs)
	c := found(t, &delivered, "chaos", "")
	w := newWreck(t, c, *kills)
	b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: c.url, Name: "people", Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := &people{town: c, choice: w.choice, bus: b}
	began := time.Now()
	limit := began.Add(3*time.Minute + time.Duration(*kills)*8*time.Second + time.Duration(*runs)*10*time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var strike, report time.Time
	for done := 0; len(w.plan) > 0 || done < *runs; <-tick.C {
		now := time.Now()
		w.mend(t, false)
		done = p.look(t)
		if p.under() < underWay && (len(c.asked) < *runs || len(w.plan) > 0) {
			p.another(t)
		}
		p.post(t)
		// The kills are spread over the runs, so that these come to an end.
		if now.After(strike) && len(w.plan) > 0 && (*kills-len(w.plan))**runs <= (done+4)**kills {
			strike = now.Add(w.between(100*time.Millisecond, 1200*time.Millisecond))
			w.strike(t)
		}
		if now.After(report) {
			report = now.Add(15 * time.Second)
			t.Logf("%4.0f s: %d of %d kills; %d runs asked for, %d ended", now.Sub(began).Seconds(), *kills-len(w.plan), *kills, len(c.asked), done)
		}
		if now.After(limit) {
			t.Errorf("after %s there are %d kills to go, and %d runs have ended", now.Sub(began), len(w.plan), done)
			break
		}
	}
	w.mend(t, true)
	for (len(p.letters) > 0 || len(w.cut) > 0) && time.Now().Before(limit.Add(time.Minute)) {
		<-tick.C
		w.back(t)
		p.post(t)
	}
	t.Logf("%4.0f s: no more kills", time.Since(began).Seconds())
	c.start(t, "tunebus-finetune", "TUNEBUS_SERVICES_FINETUNE_QUEUE=trl") // finds the jobs that were cancelled there
	c.rest(t, 4*time.Minute)
	s := c.audited(t)
	t.Logf("%4.0f s:\n%s", time.Since(began).Seconds(), w.table(s))
	w.enough(t)
}
