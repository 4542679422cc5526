package chaos_test

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// role is a place that a process fills, one after the other.
type member struct {
	program string
	process *processes.Process
	// again is when it is filled again, or goes on; zero while it works.
	rerun  time.Time
	paused bool
}

// wreck kills and pauses the processes of a town.
type faultInjector struct {
	*testCluster
	choice *rand.Rand
	roles  []*member
	natsServer *member
	cut    map[*processes.Process]time.Time // since when they have had no broker
	plan   []string                         // whom the kills hit, in their order

	kills, pauses   map[string]int // by program
	heldJob, stales int            // of those, who held a job
}

// Whom a kill hits.
const (
	jobOwner = "a process that holds a job"
	anyService  = "any service"
	natsServer  = "the broker"
)

// newWreck staffs a town: two of each service.
func newFaultInjector(t *testing.T, c *testCluster, total int) *faultInjector {
	t.Helper()
	w := &faultInjector{town: c, choice: rand.New(rand.NewPCG(*seed, 2)), kills: map[string]int{}, pauses: map[string]int{}, cut: map[*processes.Process]time.Time{}} //nolint:gosec // it has to be repeatable
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		for range 2 {
			w.members = append(w.members, &member{program: program, process: c.start(t, program)})
		}
	}
	w.nats_ = &member{program: processes.NATS, process: c.nats}
	brokers := max(2, total*12/100)
	for i := range total {
		switch {
		case i < brokers:
			w.plan = append(w.plan, natsServer)
		case i < brokers+total*6/10:
			w.plan = append(w.plan, jobOwner)
		default:
			w.plan = append(w.plan, anyService)
		}
	}
	w.choice.Shuffle(len(w.plan), func(i, j int) { w.plan[i], w.plan[j] = w.plan[j], w.plan[i] })
	return w
}

// between is a random duration.
func (w *faultInjector) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.choice.Int64N(int64(most-least)))
}

// strike does the next thing of the plan, if it can be done now.
func (w *faultInjector) inject(t *testing.T) {
	t.Helper()
	if w.choice.IntN(5) == 0 {
		w.pause(t)
		return
	}
	held := w.owning(t)
	victim := w.nats_
	switch w.plan[0] {
	case jobOwner:
		victim = w.pick(held)
	case anyService:
		victim = w.pick(w.running())
	}
	if victim == nil || victim.process.Ended() {
		return
	}
	if slices.Contains(held, victim) {
		w.killedOwners++
	}
	w.plan = w.plan[1:]
	w.kills[victim.program]++
	if victim == w.nats_ {
		w.noteOutage()
	}
	victim.process.Kill(t)
	victim.paused = false
	victim.backAt = time.Now().Add(w.between(50*time.Millisecond, 1500*time.Millisecond))
}

// pause stops somebody for a while: a holder mostly for so long that his job
// is taken over meanwhile.
func (w *faultInjector) pause(t *testing.T) {
	t.Helper()
	victim, length := w.nats_, w.between(200*time.Millisecond, 3*time.Second)
	switch held := w.owning(t); {
	case len(held) > 0 && w.choice.IntN(3) > 0:
		victim, length = w.pick(held), w.between(ackWait+time.Second, ackWait+4*time.Second)
		w.stalePauses++
	case w.choice.IntN(4) > 0:
		victim = w.pick(w.running())
	}
	if victim == nil || !victim.backAt.IsZero() {
		return
	}
	if victim == w.nats_ {
		w.noteOutage()
	}
	victim.process.Signal(t, syscall.SIGSTOP)
	w.pauses[victim.program]++
	victim.paused, victim.backAt = true, time.Now().Add(length)
}

// mend lets those go on whose time has come; all of them if it has to be now.
func (w *faultInjector) resume(t *testing.T, now bool) {
	t.Helper()
	w.noteReconnects(t)
	for _, r := range append(slices.Clone(w.members), w.nats_) {
		if !r.paused && r.backAt.IsZero() && r.process.Ended() {
			t.Errorf("%s ended by itself:\n%s", r.program, r.process.Log)
			r.backAt = time.Now()
		}
		if r.backAt.IsZero() || !now && time.Now().Before(r.backAt) {
			continue
		}
		switch {
		case r.paused:
			r.process.Signal(t, syscall.SIGCONT)
		case r == w.nats_:
			w.startNATS(t)
			r.process = w.nats
		default:
			r.process = w.start(t, r.program)
		}
		r.paused, r.backAt = false, time.Time{}
	}
}

// working are the roles that are filled.
func (w *faultInjector) running() []*member {
	return slices.DeleteFunc(slices.Clone(w.members), func(r *member) bool { return !r.backAt.IsZero() })
}

func (w *faultInjector) pick(from []*member) *member {
	if len(from) == 0 {
		return nil
	}
	return from[w.choice.IntN(len(from))]
}

// holding are the working roles that hold a job.
func (w *faultInjector) owning(t *testing.T) []*member {
	t.Helper()
	if !w.nats_.backAt.IsZero() {
		return nil // it cannot be asked
	}
	holders := w.owners(t)
	return slices.DeleteFunc(w.running(), func(r *member) bool { return !holders[r.process.PID()] })
}
