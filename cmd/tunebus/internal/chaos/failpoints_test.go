package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// programsByPrefix returns the programs that reach a failpoint, by a prefix of
// its name. The longest matching prefix applies.
func programsByPrefix() map[string][]string {
	phases := []string{processes.Finetune, processes.Inference, processes.Evaluation}
	return map[string][]string{
		"accepted": {processes.Intake}, "rejected": {processes.Intake}, "cancel": {processes.Intake}, "dead_letter": {processes.Intake},
		"requested":          {processes.Intake, processes.Finetune, processes.Inference},
		"started":            append(phases, processes.Intake),
		"attempt_ended":      {processes.Finetune},
		"completed":          append(phases, processes.Intake),
		"pipeline_completed": {processes.Finetune, processes.Evaluation, processes.Intake},
		"follow":             append(phases, processes.Intake),
		"ack":                append(phases, processes.Intake),
		"nak":                {processes.Finetune, processes.Intake},
		"job":                phases, "job.resumed": {processes.Finetune},
		"checkpoint": {processes.Finetune}, "artifact": phases, "object": {processes.Finetune},
		"tracked": {processes.Tracker}, "lease": {processes.Tracker}, "report": {processes.Tracker}, "mlflow": {processes.Tracker},
	}
}

// programsAt returns the programs that reach a failpoint.
func programsAt(point failpoint.Name) []string {
	longest := ""
	for prefix := range programsByPrefix() {
		if strings.HasPrefix(string(point), prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return programsByPrefix()[longest]
}

// crashingProcess is a process that kills itself at a failpoint.
type crashingProcess struct {
	point failpoint.Name
	*processes.Process
	stopped bool // it was told to stop while it had a job
}

// startCrashing starts a program that kills itself at a failpoint.
func (c *testDeployment) startCrashing(t *testing.T, point failpoint.Name, program string) crashingProcess {
	t.Helper()
	return crashingProcess{point: point, Process: c.start(t, program, failpoint.Variable+"="+string(point))}
}

// kindsFor returns the kinds of runs that lead a program to its failpoints.
func kindsFor(program string) []string {
	switch program {
	case processes.Finetune:
		return []string{finetuneOnly, full}
	case processes.Inference:
		return []string{skipFinetuning}
	case processes.Intake:
		return []string{evaluateOnly, expiring, invalid}
	default:
		return []string{evaluateOnly}
	}
}

// TestEveryFailpoint kills a process at each failpoint. All of these processes
// are in one deployment, in which other processes continue the runs. In the end
// nothing is lost, done twice or left over.
func TestEveryFailpoint(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		testFailpoints(t, "failpoints", "", slices.DeleteFunc(failpoint.All(), func(p failpoint.Name) bool {
			return p == failpoint.ObjectUnnamed || slices.Contains(deletionPoints(), p) || slices.Contains(publishingPoints(), p)
		}))
	})
	t.Run("object store", func(t *testing.T) {
		t.Parallel()
		testFailpoints(t, "objects", "jetstream://artifacts", []failpoint.Name{failpoint.ObjectUnnamed})
	})
}

// publishingPoints are reached by runs alone that are pushed to a Hub, see trackertest.
func publishingPoints() []failpoint.Name {
	return []failpoint.Name{failpoint.BeforePublished, failpoint.AfterPublished, failpoint.Pushed}
}

func testFailpoints(t *testing.T, name, store string, points []failpoint.Name) {
	t.Helper()
	random := rand.New(rand.NewPCG(*seed, 1)) //nolint:gosec // a seed has to repeat the test
	c := newTestDeployment(t, deploymentOptions{programs: &withFailpoints, name: name, store: store, nodes: 1})
	var crashing []crashingProcess
	start := func(point failpoint.Name, program string) {
		crashing = append(crashing, c.startCrashing(t, point, program))
	}
	for _, point := range points {
		programs := programsAt(point)
		if len(programs) == 0 {
			t.Errorf("no program is known that reaches %s", point)
			continue
		}
		if !*every {
			programs = programs[random.IntN(len(programs)):][:1]
		}
		for _, program := range programs {
			if point != failpoint.JobResumed {
				start(point, program)
			}
		}
	}
	c.submitUntilKilled(t, crashing)
	if slices.Contains(points, failpoint.JobResumed) { // only the next attempt after a checkpoint reaches it
		for _, point := range []failpoint.Name{failpoint.CheckpointRegistered, failpoint.JobResumed} {
			crashing = crashing[:0]
			start(point, processes.Finetune)
			c.submitUntilKilled(t, crashing)
		}
	}
	t.Logf("seed %d: %d failpoints in %d processes", *seed, len(points), len(c.allServices()))
	c.startServices(t, nil, "")
	c.startForCancelledJobs(t)
	c.waitUntilIdle(t, 3*time.Minute)
	if store != "" {
		c.collectGarbage(t)
	}
	c.audit(t)
}

// collectGarbage runs "tunebus gc". It removes the chunks of objects whose
// writers died before they named the objects.
func (c *testDeployment) collectGarbage(t *testing.T) {
	t.Helper()
	c.programs.Start(t, c.dir, processes.Tunebus, c.env, "gc", "--grace", "1s").Wait(t, time.Minute)
}

// startServices starts one process of each service, except one, that has no
// process in alive. It starts at most one process of a service.
func (c *testDeployment) startServices(t *testing.T, alive map[string][]string, except string) {
	t.Helper()
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		if program != except && len(alive[program]) == 0 && !c.startedServices[program] {
			c.startedServices[program] = true
			c.start(t, program)
		}
	}
}

// submitUntilKilled submits runs until each process was killed at its failpoint.
// A service that has no crashing process left gets a process without a
// failpoint. Fine-tuning does not, because a later process has to be killed
// there.
func (c *testDeployment) submitUntilKilled(t *testing.T, crashing []crashingProcess) {
	t.Helper()
	limit := time.Now().Add(4 * time.Minute)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for submittedAt := (time.Time{}); ; <-tick.C {
		alive := map[string][]string{}
		for i, p := range crashing {
			switch {
			case !p.Ended():
				alive[p.Name] = append(alive[p.Name], string(p.point))
			case p.stopped && !p.Killed(): // its job had ended when the signal came
				p.Wait(t, time.Minute)
				crashing[i] = c.startCrashing(t, p.point, p.Name)
				alive[p.Name] = append(alive[p.Name], string(p.point))
			case !p.Killed() || !strings.Contains(p.Log.String(), failpoint.Output(p.point)):
				t.Fatalf("%s ended, but was not killed at %s:\n%s", p.Name, p.point, p.Log)
			}
		}
		if len(alive) == 0 {
			return
		}
		c.startServices(t, alive, processes.Finetune)
		c.stopJobOwners(t, crashing)
		if time.Now().After(limit) {
			t.Errorf("not reached: %v", alive)
			return
		}
		if time.Since(submittedAt) > 2*time.Second {
			submittedAt = time.Now()
			c.submitFor(t, alive)
		}
	}
}

// stopJobOwners sends SIGTERM to the processes that own a job and reach their
// failpoints only when they stop.
func (c *testDeployment) stopJobOwners(t *testing.T, crashing []crashingProcess) {
	t.Helper()
	var owners map[int]bool
	for i, p := range crashing {
		atShutdown := strings.HasPrefix(string(p.point), "attempt_ended") || p.point == failpoint.BeforeNak
		if !atShutdown || p.Ended() || p.Name == processes.Intake {
			continue
		}
		if owners == nil {
			owners = c.jobOwners(t)
		}
		if owners[p.PID()] {
			crashing[i].stopped = true
			p.Signal(t, syscall.SIGTERM)
		}
	}
}

// submitFor submits runs that lead programs to their failpoints, unless enough
// runs are open.
func (c *testDeployment) submitFor(t *testing.T, programs map[string][]string) {
	t.Helper()
	ended, err := c.factSubjects(t.Context(), events.TypePipelineCompleted+".*")
	if err != nil {
		t.Fatal(err)
	}
	const enough = 2 // of a kind
	open := map[string]int{}
	for id, kind := range c.submitted {
		if !ended[events.PipelineCompleted{RunID: id}.Subject()] {
			open[kind]++
		}
	}
	for program := range programs {
		for _, kind := range kindsFor(program) {
			if open[kind] < enough || kind == invalid {
				c.submissions++
				c.submit(t, fmt.Sprintf("%s-%d", kind, c.submissions), kind)
			}
		}
	}
}
