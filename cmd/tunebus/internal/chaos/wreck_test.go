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
type role struct {
	program string
	process *processes.Process
	// again is when it is filled again, or goes on; zero while it works.
	again  time.Time
	paused bool
}

// wreck kills and pauses the processes of a town.
type wreck struct {
	*town
	choice *rand.Rand
	roles  []*role
	broker *role
	cut    map[*processes.Process]time.Time // since when they have had no broker
	plan   []string                         // whom the kills hit, in their order

	kills, pauses   map[string]int // by program
	heldJob, stales int            // of those, who held a job
}

// Whom a kill hits.
const (
	aHolder = "a process that holds a job"
	anyone  = "any service"
	broker  = "the broker"
)

// newWreck staffs a town: two of each service.
func newWreck(t *testing.T, c *town, total int) *wreck {
	t.Helper()
	w := &wreck{town: c, choice: rand.New(rand.NewPCG(*seed, 2)), kills: map[string]int{}, pauses: map[string]int{}, cut: map[*processes.Process]time.Time{}} //nolint:gosec // it has to be repeatable
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		for range 2 {
			w.roles = append(w.roles, &role{program: program, process: c.start(t, program)})
		}
	}
	w.broker = &role{program: processes.NATS, process: c.nats}
	brokers := max(2, total*12/100)
	for i := range total {
		switch {
		case i < brokers:
			w.plan = append(w.plan, broker)
		case i < brokers+total*6/10:
			w.plan = append(w.plan, aHolder)
		default:
			w.plan = append(w.plan, anyone)
		}
	}
	w.choice.Shuffle(len(w.plan), func(i, j int) { w.plan[i], w.plan[j] = w.plan[j], w.plan[i] })
	return w
}

// between is a random duration.
func (w *wreck) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.choice.Int64N(int64(most-least)))
}

// strike does the next thing of the plan, if it can be done now.
func (w *wreck) strike(t *testing.T) {
	t.Helper()
	if w.choice.IntN(5) == 0 {
		w.pause(t)
		return
	}
	held := w.holding(t)
	victim := w.broker
	switch w.plan[0] {
	case aHolder:
		victim = w.pick(held)
	case anyone:
		victim = w.pick(w.working())
	}
	if victim == nil || victim.process.Ended() {
		return
	}
	if slices.Contains(held, victim) {
		w.heldJob++
	}
	w.plan = w.plan[1:]
	w.kills[victim.program]++
	if victim == w.broker {
		w.away()
	}
	victim.process.Kill(t)
	victim.paused = false
	victim.again = time.Now().Add(w.between(50*time.Millisecond, 1500*time.Millisecond))
}

// pause stops somebody for a while: a holder mostly for so long that his job
// is taken over meanwhile.
func (w *wreck) pause(t *testing.T) {
	t.Helper()
	victim, length := w.broker, w.between(200*time.Millisecond, 3*time.Second)
	switch held := w.holding(t); {
	case len(held) > 0 && w.choice.IntN(3) > 0:
		victim, length = w.pick(held), w.between(ackWait+time.Second, ackWait+4*time.Second)
		w.stales++
	case w.choice.IntN(4) > 0:
		victim = w.pick(w.working())
	}
	if victim == nil || !victim.again.IsZero() {
		return
	}
	if victim == w.broker {
		w.away()
	}
	victim.process.Signal(t, syscall.SIGSTOP)
	w.pauses[victim.program]++
	victim.paused, victim.again = true, time.Now().Add(length)
}

// mend lets those go on whose time has come; all of them if it has to be now.
func (w *wreck) mend(t *testing.T, now bool) {
	t.Helper()
	w.back(t)
	for _, r := range append(slices.Clone(w.roles), w.broker) {
		if !r.paused && r.again.IsZero() && r.process.Ended() {
			t.Errorf("%s ended by itself:\n%s", r.program, r.process.Log)
			r.again = time.Now()
		}
		if r.again.IsZero() || !now && time.Now().Before(r.again) {
			continue
		}
		switch {
		case r.paused:
			r.process.Signal(t, syscall.SIGCONT)
		case r == w.broker:
			w.startNATS(t)
			r.process = w.nats
		default:
			r.process = w.start(t, r.program)
		}
		r.paused, r.again = false, time.Time{}
	}
}

// working are the roles that are filled.
func (w *wreck) working() []*role {
	return slices.DeleteFunc(slices.Clone(w.roles), func(r *role) bool { return !r.again.IsZero() })
}

func (w *wreck) pick(from []*role) *role {
	if len(from) == 0 {
		return nil
	}
	return from[w.choice.IntN(len(from))]
}

// holding are the working roles that hold a job.
func (w *wreck) holding(t *testing.T) []*role {
	t.Helper()
	if !w.broker.again.IsZero() {
		return nil // it cannot be asked
	}
	holders := w.holders(t)
	return slices.DeleteFunc(w.working(), func(r *role) bool { return !holders[r.process.PID()] })
}
