package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// strikeKind is a kind of strike against a cluster.
type strikeKind string

// The kinds of strikes. A worker, an intake and a tracker are hit while they
// hold a message, any service at any time.
const (
	killWorker  strikeKind = "kill a worker with a job"
	killIntake  strikeKind = "kill an intake with a request"
	killTracker strikeKind = "kill a tracker that writes"
	killAny     strikeKind = "kill a service"

	pauseWorker  strikeKind = "pause a worker with a job beyond the ack wait"
	pauseIntake  strikeKind = "pause an intake with a request beyond the ack wait"
	pauseTracker strikeKind = "pause a tracker that writes beyond the ack wait"
	pauseAny     strikeKind = "pause a service"

	loseWorker  strikeKind = "lose the answers to a worker with a job"
	loseIntake  strikeKind = "lose the answers to an intake with a request"
	loseTracker strikeKind = "lose the answers to a tracker that writes"
	loseAny     strikeKind = "lose the answers to a service"

	killLeader     strikeKind = "kill a leader"
	pauseLeader    strikeKind = "pause a leader"
	stepDownLeader strikeKind = "step down a leader"
	replaceLeader  strikeKind = "step down a leader and kill the next one"
	killNode       strikeKind = "kill a node"
	pauseNode      strikeKind = "pause a node"
	killAllNodes   strikeKind = "kill all nodes"
)

// strikeShare is how many of a hundred strikes are of a kind.
type strikeShare struct {
	kind  strikeKind
	share int
}

func strikeShares() []strikeShare {
	return []strikeShare{
		{killWorker, 12}, {killIntake, 4}, {killTracker, 4}, {killAny, 9},
		{pauseWorker, 6}, {pauseIntake, 3}, {pauseTracker, 2}, {pauseAny, 4},
		{loseWorker, 9}, {loseIntake, 5}, {loseTracker, 4}, {loseAny, 6},
		{killLeader, 7}, {pauseLeader, 4}, {stepDownLeader, 5}, {replaceLeader, 4},
		{killNode, 5}, {pauseNode, 3}, {killAllNodes, 4},
	}
}

// planStrikes returns kinds of strikes in a random order. If there are fewer
// strikes than kinds, chance decides which kinds are left out.
func planStrikes(total int, random *rand.Rand) []strikeKind {
	var plan []strikeKind
	for _, s := range strikeShares() {
		for range (s.share*total + 99) / 100 {
			plan = append(plan, s.kind)
		}
	}
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan[:total]
}

// target is a process that strikes hit: a service behind its tap, or a node.
type target struct {
	program string
	process *processes.Process
	tap     *tap  // of a service
	node    *node // of a node
	// backAt is the time at which the strike ends. It is zero while nothing is
	// wrong with the process.
	backAt time.Time
	end    func(t *testing.T) // ends the strike
}

func (s *target) name() string {
	if s.node != nil {
		return fmt.Sprintf("%s %d", s.node.name, s.process.PID())
	}
	return fmt.Sprintf("%s %d", s.program, s.process.PID())
}

// unharmed reports whether no strike against the process is going on.
func (s *target) unharmed() bool { return s.backAt.IsZero() }

// striker strikes the processes of a cluster at random.
type striker struct {
	*testDeployment
	random   *rand.Rand
	services []*target
	servers  []*target
	plan     []strikeKind // the strikes that are left, in order
	began    time.Time
	// disconnected has the time since when a process may be unable to register a
	// checkpoint.
	disconnected map[*target]outage
	checkedAt    time.Time
	healthySince time.Time          // zero while a stream has no leader, or a process no connection
	requestWork  func(t *testing.T) // has the client submit a run now

	strikes     map[strikeKind]int
	hitWork     map[strikeKind]int // those that hit a process that holds work
	workByOwner map[string]int     // strikes on holders of work, by program
}

// outage is an outage that goes on.
type outage struct {
	process *processes.Process
	since   time.Time
}

// newStriker starts two processes of each service, each behind a tap of its own,
// and plans the strikes.
func newStriker(t *testing.T, c *testDeployment, total int) *striker {
	t.Helper()
	s := &striker{
		testDeployment: c,
		random:         rand.New(rand.NewPCG(*seed, 3)), //nolint:gosec // a seed has to repeat the test
		began:          time.Now(),
		disconnected:   map[*target]outage{},
		strikes:        map[strikeKind]int{},
		hitWork:        map[strikeKind]int{},
		workByOwner:    map[string]int{},
	}
	s.plan = planStrikes(total, s.random)
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		for range 2 {
			i := &target{program: program, tap: newTap(t, c.nodes)}
			s.startService(t, i)
			s.services = append(s.services, i)
		}
	}
	for _, n := range c.nodes {
		s.servers = append(s.servers, &target{program: processes.NATS, process: n.process(), node: n})
	}
	return s
}

func (s *striker) startService(t *testing.T, i *target) {
	t.Helper()
	i.tap.forget()
	i.process = s.start(t, i.program, "TUNEBUS_BUS_URL="+i.tap.url)
}

// left returns the number of strikes that are left.
func (s *striker) left() int { return len(s.plan) }

// nextPause returns the time until the next strike.
func (s *striker) nextPause() time.Duration {
	return s.randomDuration(300*time.Millisecond, 3*time.Second)
}

func (s *striker) randomDuration(low, high time.Duration) time.Duration {
	return low + time.Duration(s.random.Int64N(int64(high-low)))
}

// inject does the first strike of the plan that can be done now.
func (s *striker) inject(t *testing.T) {
	t.Helper()
	for i, kind := range s.plan {
		if i == 8 { // what cannot be done now is tried again soon
			return
		}
		if s.strike(t, kind) {
			s.plan = slices.Delete(s.plan, i, i+1)
			s.strikes[kind]++
			return
		}
	}
}

// strike does a strike. It returns false if no process is suitable now.
func (s *striker) strike(t *testing.T, kind strikeKind) bool {
	t.Helper()
	switch kind {
	case killWorker, killIntake, killTracker, killAny:
		return s.strikeService(t, kind, s.kill)
	case pauseWorker, pauseIntake, pauseTracker, pauseAny:
		return s.strikeService(t, kind, s.pause)
	case loseWorker, loseIntake, loseTracker, loseAny:
		return s.strikeService(t, kind, s.loseAnswers)
	case killAllNodes:
		return s.strikeAllNodes(t)
	default:
		return s.strikeNode(t, kind)
	}
}

// log writes what a strike hits, and counts it.
func (s *striker) log(t *testing.T, kind strikeKind, i *target, work []string) {
	t.Helper()
	what := "holds nothing"
	if len(work) > 0 {
		s.hitWork[kind]++
		s.workByOwner[i.program]++
		what = "holds " + strings.Join(work, ", ")
	}
	t.Logf("%6.1f s: %s: %s, which %s", time.Since(s.began).Seconds(), kind, i.name(), what)
}

// strikeService strikes a service. One that has to hold a message is awaited for
// a moment.
func (s *striker) strikeService(t *testing.T, kind strikeKind, do func(t *testing.T, i *target, holdsWork bool)) bool {
	t.Helper()
	if kind == killAny || kind == pauseAny || kind == loseAny {
		candidates := s.unharmedServices()
		if len(candidates) == 0 {
			return false
		}
		i := candidates[s.random.IntN(len(candidates))]
		held := i.tap.holds()
		s.log(t, kind, i, names(held))
		do(t, i, len(held) > 0)
		return true
	}
	consumers := consumersOf(kind)
	wait := 100 * time.Millisecond
	if slices.Contains(consumers, topology.ConsumerIntake) { // it holds a request for a few milliseconds only
		s.requestWork(t)
		wait = time.Second
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(wait); time.Now().Before(until); <-tick.C {
		candidates := s.unharmedServices()
		s.random.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		for _, i := range candidates {
			held := i.tap.holds()
			if slices.ContainsFunc(held, func(w work) bool { return slices.Contains(consumers, w.consumer) }) {
				s.log(t, kind, i, names(held))
				do(t, i, true)
				return true
			}
		}
	}
	return false
}

// names returns work in a readable form.
func names(held []work) []string {
	var out []string
	for _, w := range held {
		out = append(out, w.name)
	}
	return out
}

// consumersOf returns the consumers from which a kind of strike expects its
// target to have a message. A tracker acknowledges facts at once; what shows
// that it writes is its lease.
func consumersOf(kind strikeKind) []string {
	switch kind {
	case killIntake, pauseIntake, loseIntake:
		return []string{topology.ConsumerIntake, topology.ConsumerCancel}
	case killTracker, pauseTracker, loseTracker:
		return []string{leaseOf}
	default:
		var out []string
		for _, p := range events.Phases() {
			out = append(out, topology.JobConsumer(p, "builtin"))
		}
		return out
	}
}

// kill kills a process and starts its successor later.
func (s *striker) kill(t *testing.T, i *target, _ bool) {
	t.Helper()
	i.process.Kill(t)
	i.backAt = time.Now().Add(s.randomDuration(50*time.Millisecond, 1500*time.Millisecond))
	i.end = func(t *testing.T) { s.startService(t, i) }
}

// pause stops a process for a while. One that holds work is usually paused for
// longer than the ack wait.
func (s *striker) pause(t *testing.T, i *target, holdsWork bool) {
	t.Helper()
	length := s.randomDuration(200*time.Millisecond, 3*time.Second)
	if holdsWork {
		length = s.randomDuration(ackWait+time.Second, ackWait+4*time.Second)
	}
	i.process.Signal(t, syscall.SIGSTOP)
	i.backAt = time.Now().Add(length)
	i.end = func(t *testing.T) { i.process.Signal(t, syscall.SIGCONT) }
}

// loseAnswers loses for a while what the nodes send to a process, then cuts its
// connections.
func (s *striker) loseAnswers(_ *testing.T, i *target, _ bool) {
	s.startOutage(i)
	i.tap.lossy.Store(true)
	i.backAt = time.Now().Add(s.randomDuration(20*time.Millisecond, 1500*time.Millisecond))
	i.end = func(*testing.T) {
		i.tap.cut()
		i.tap.lossy.Store(false)
	}
}

// strikeNode strikes one node while all others run.
func (s *striker) strikeNode(t *testing.T, kind strikeKind) bool {
	t.Helper()
	if !s.canStrikeNodes() {
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	leaders := s.leaders(ctx)
	var candidates []*target
	for _, i := range s.servers {
		leads := slices.ContainsFunc(leaders[i.node.name], led.holdsWork)
		if kind == killNode || kind == pauseNode || leads {
			candidates = append(candidates, i)
		}
	}
	if len(candidates) == 0 {
		return false
	}
	i := candidates[s.random.IntN(len(candidates))]
	var work []led
	for _, l := range leaders[i.node.name] {
		if l.holdsWork() {
			work = append(work, l)
		}
	}
	if kind == stepDownLeader || kind == replaceLeader {
		what := work[s.random.IntN(len(work))]
		if err := s.stepDown(ctx, what); err != nil {
			return false
		}
		s.log(t, kind, i, []string{"the lead of " + what.String()})
		s.startOutageOfAll()
		if kind == replaceLeader {
			if next := s.successor(t, what, i); next != nil {
				t.Logf("%6.1f s: the next leader of %s is killed: %s", time.Since(s.began).Seconds(), what, next.name())
				s.killServer(t, next)
			}
		}
		return true
	}
	var leads []string
	for _, l := range work {
		leads = append(leads, "the lead of "+l.String())
	}
	s.log(t, kind, i, leads)
	s.startOutageOfAll()
	if kind == pauseLeader || kind == pauseNode {
		i.process.Signal(t, syscall.SIGSTOP)
		i.backAt = time.Now().Add(s.randomDuration(500*time.Millisecond, 8*time.Second))
		i.end = func(t *testing.T) { i.process.Signal(t, syscall.SIGCONT) }
		return true
	}
	s.killServer(t, i)
	return true
}

// successor returns the node that leads after the leader has stepped down, or
// nil if none does within a few seconds.
func (s *striker) successor(t *testing.T, what led, before *target) *target {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		for name, all := range s.leaders(ctx) {
			same := func(l led) bool { return l.stream == what.stream && l.consumer == what.consumer }
			if name != before.node.name && slices.ContainsFunc(all, same) {
				return s.servers[slices.IndexFunc(s.servers, func(i *target) bool { return i.node.name == name })]
			}
		}
		<-tick.C
	}
	return nil
}

func (s *striker) killServer(t *testing.T, i *target) {
	t.Helper()
	i.process.Kill(t)
	i.backAt = time.Now().Add(s.randomDuration(100*time.Millisecond, 4*time.Second))
	i.end = func(t *testing.T) { i.process = s.startNode(t, i.node) }
}

// strikeAllNodes kills all nodes. They come back at different times.
func (s *striker) strikeAllNodes(t *testing.T) bool {
	t.Helper()
	if !s.canStrikeNodes() {
		return false
	}
	s.startOutageOfAll()
	s.log(t, killAllNodes, s.servers[0], []string{"the lead of everything, with the other nodes"})
	for _, i := range s.servers {
		s.killServer(t, i)
	}
	return true
}

// restartDue ends the strikes that are due, or all of them.
func (s *striker) restartDue(t *testing.T, all bool) {
	t.Helper()
	for _, i := range slices.Concat(s.services, s.servers) {
		if i.unharmed() && i.process.Ended() {
			t.Errorf("%s ended by itself:\n%s", i.name(), i.process.Log)
			i.backAt = time.Now()
			i.end = func(t *testing.T) { s.startService(t, i) }
			if i.node != nil {
				i.end = func(t *testing.T) { i.process = s.startNode(t, i.node) }
			}
		}
		if i.unharmed() || !all && time.Now().Before(i.backAt) {
			continue
		}
		i.end(t)
		i.backAt, i.end = time.Time{}, nil
	}
	s.endOutages(t)
}

func (s *striker) unharmedServices() []*target {
	return slices.DeleteFunc(slices.Clone(s.services), func(i *target) bool { return !i.unharmed() || i.process.Ended() })
}

// startOutage records that a process may be unable to register a checkpoint from
// now on.
func (s *striker) startOutage(i *target) {
	if known, ok := s.disconnected[i]; ok && known.process == i.process {
		return
	}
	s.disconnected[i] = outage{i.process, time.Now()}
}

func (s *striker) startOutageOfAll() {
	for _, i := range s.services {
		s.startOutage(i)
	}
}

// canStrikeNodes reports whether all nodes run, and all processes and streams
// have recovered from the strike before for a while. Without that, one election
// after the other would be all that happens.
func (s *striker) canStrikeNodes() bool {
	return !s.healthySince.IsZero() && time.Since(s.healthySince) > calmBeforeNodes &&
		!slices.ContainsFunc(s.servers, func(i *target) bool { return !i.unharmed() })
}

// calmBeforeNodes is the time between the recovery of the nodes and the next
// strike against them.
const calmBeforeNodes = 3 * time.Second

// endOutages records the end of the outage of each process that has a connection
// again, once all streams have a leader.
func (s *striker) endOutages(t *testing.T) {
	t.Helper()
	if len(s.disconnected) == 0 {
		if s.healthySince.IsZero() {
			s.healthySince = time.Now()
		}
		return
	}
	s.healthySince = time.Time{}
	if time.Since(s.checkedAt) < 300*time.Millisecond {
		return
	}
	s.checkedAt = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if s.checkNodes(ctx, false) != nil {
		return
	}
	runs := func(n *node) bool {
		return slices.ContainsFunc(s.servers, func(i *target) bool { return i.node == n && i.unharmed() })
	}
	for i, o := range s.disconnected {
		if o.process != i.process || o.process.Ended() || i.unharmed() && i.tap.connected(runs) {
			s.state.Outages = append(s.state.Outages, snapshot.Outage{PID: o.process.PID(), From: o.since, To: time.Now().Add(registrationTime)})
			delete(s.disconnected, i)
		}
	}
}
