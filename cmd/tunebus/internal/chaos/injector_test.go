package chaos_test

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// instance is one running copy of a program. The injector replaces its process
// after each kill.
type instance struct {
	program string
	process *processes.Process
	// backAt is the time at which the killed process is replaced or the paused
	// process continues. It is zero while the process runs.
	backAt time.Time
	paused bool
}

// running reports whether the process is neither killed nor paused.
func (i *instance) running() bool { return i.backAt.IsZero() }

// faultInjector kills and pauses the processes of a deployment at random.
type faultInjector struct {
	*testDeployment
	random    *rand.Rand
	instances []*instance // of the services
	server    *instance   // NATS
	// disconnected has the time since when a process may have no connection to
	// NATS.
	disconnected map[*processes.Process]time.Time
	plan         []killTarget // the kills that are left, in order

	kills, pauses              map[string]int // by program
	ownersKilled, ownersPaused int            // processes that owned a job
}

// killTarget selects the process of a kill.
type killTarget int

// The targets of kills.
const (
	jobOwner killTarget = iota // a process that owns a job
	anyService
	natsServer
)

// newFaultInjector starts two processes of each service, and plans the kills.
func newFaultInjector(t *testing.T, c *testDeployment, total int) *faultInjector {
	t.Helper()
	f := &faultInjector{
		testDeployment: c,
		random:         rand.New(rand.NewPCG(*seed, 2)), //nolint:gosec // a seed has to repeat the test
		disconnected:   map[*processes.Process]time.Time{},
		kills:          map[string]int{},
		pauses:         map[string]int{},
	}
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		for range 2 {
			f.instances = append(f.instances, &instance{program: program, process: c.start(t, program)})
		}
	}
	f.server = &instance{program: processes.NATS, process: c.nodes[0].process()}
	ofNATS := max(2, total*12/100)
	for i := range total {
		switch {
		case i < ofNATS:
			f.plan = append(f.plan, natsServer)
		case i < ofNATS+total*6/10:
			f.plan = append(f.plan, jobOwner)
		default:
			f.plan = append(f.plan, anyService)
		}
	}
	f.random.Shuffle(len(f.plan), func(i, j int) { f.plan[i], f.plan[j] = f.plan[j], f.plan[i] })
	return f
}

// left returns the number of kills that are left.
func (f *faultInjector) left() int { return len(f.plan) }

// nextPause returns the time until the next kill or pause.
func (f *faultInjector) nextPause() time.Duration {
	return f.randomDuration(100*time.Millisecond, 1200*time.Millisecond)
}

// randomDuration returns a duration of at least low and less than high.
func (f *faultInjector) randomDuration(low, high time.Duration) time.Duration {
	return low + time.Duration(f.random.Int64N(int64(high-low)))
}

// inject pauses a process, or does the next kill of the plan. It does nothing if
// no process is suitable now.
func (f *faultInjector) inject(t *testing.T) {
	t.Helper()
	if f.random.IntN(5) == 0 {
		f.pause(t)
		return
	}
	owners := f.owners(t)
	target := f.server
	switch f.plan[0] {
	case jobOwner:
		target = f.pick(owners)
	case anyService:
		target = f.pick(f.runningServices())
	}
	if target == nil || target.process.Ended() {
		return
	}
	if slices.Contains(owners, target) {
		f.ownersKilled++
	}
	f.plan = f.plan[1:]
	f.kills[target.program]++
	if target == f.server {
		f.recordOutage()
	}
	target.process.Kill(t)
	target.paused = false
	target.backAt = time.Now().Add(f.randomDuration(50*time.Millisecond, 1500*time.Millisecond))
}

// pause stops a process for a while. The owner of a job is usually paused for
// longer than the ack wait, so that another worker takes over the job.
func (f *faultInjector) pause(t *testing.T) {
	t.Helper()
	target, length := f.server, f.randomDuration(200*time.Millisecond, 3*time.Second)
	switch owners := f.owners(t); {
	case len(owners) > 0 && f.random.IntN(3) > 0:
		target, length = f.pick(owners), f.randomDuration(ackWait+time.Second, ackWait+4*time.Second)
		f.ownersPaused++
	case f.random.IntN(4) > 0:
		target = f.pick(f.runningServices())
	}
	if target == nil || !target.running() {
		return
	}
	if target == f.server {
		f.recordOutage()
	}
	target.process.Signal(t, syscall.SIGSTOP)
	f.pauses[target.program]++
	target.paused, target.backAt = true, time.Now().Add(length)
}

// restartDue replaces killed processes and continues paused ones: those that are
// due, or all of them.
func (f *faultInjector) restartDue(t *testing.T, all bool) {
	t.Helper()
	f.recordReconnects(t)
	for _, i := range append(slices.Clone(f.instances), f.server) {
		if !i.paused && i.running() && i.process.Ended() {
			t.Errorf("%s ended by itself:\n%s", i.program, i.process.Log)
			i.backAt = time.Now()
		}
		if i.running() || !all && time.Now().Before(i.backAt) {
			continue
		}
		switch {
		case i.paused:
			i.process.Signal(t, syscall.SIGCONT)
		case i == f.server:
			i.process = f.startNode(t, f.nodes[0])
		default:
			i.process = f.start(t, i.program)
		}
		i.paused, i.backAt = false, time.Time{}
	}
}

// runningServices returns the services that are neither killed nor paused.
func (f *faultInjector) runningServices() []*instance {
	return slices.DeleteFunc(slices.Clone(f.instances), func(i *instance) bool { return !i.running() })
}

// pick returns a random instance, or nil if there is none.
func (f *faultInjector) pick(from []*instance) *instance {
	if len(from) == 0 {
		return nil
	}
	return from[f.random.IntN(len(from))]
}

// owners returns the running services that own a job.
func (f *faultInjector) owners(t *testing.T) []*instance {
	t.Helper()
	if !f.server.running() {
		return nil // NATS does not answer
	}
	pids := f.jobOwners(t)
	return slices.DeleteFunc(f.runningServices(), func(i *instance) bool { return !pids[i.process.PID()] })
}
