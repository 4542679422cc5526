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

// places says which programs come by a point, by the beginning of its name;
// the longest one counts.
func places() map[string][]string {
	phases := []string{processes.Finetune, processes.Inference, processes.Evaluation}
	return map[string][]string{
		"accepted": {processes.Intake}, "rejected": {processes.Intake}, "cancel": {processes.Intake}, "bury": {processes.Intake},
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

// comesBy are the programs that come by a point.
func comesBy(point failpoint.Name) []string {
	longest := ""
	for begin := range places() {
		if strings.HasPrefix(string(point), begin) && len(begin) > len(longest) {
			longest = begin
		}
	}
	return places()[longest]
}

// victim is a process that will die at a point.
type victim struct {
	point failpoint.Name
	*processes.Process
}

// kinds are the kinds of runs that lead a program to its points.
func kinds(program string) []string {
	switch program {
	case processes.Finetune:
		return []string{train, full}
	case processes.Inference:
		return []string{answer}
	case processes.Intake:
		return []string{score, queued, garbage}
	default:
		return []string{score}
	}
}

// TestEveryFailpoint lets a process die at every point at which that could
// tear something, all of them in one town, in which runs go on. Whoever
// follows finds what they left; in the end nothing is lost, done twice or left
// over.
func TestEveryFailpoint(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		walk(t, "failpoints", "", slices.DeleteFunc(failpoint.All(), func(p failpoint.Name) bool { return p == failpoint.ObjectUnnamed }))
	})
	t.Run("object store", func(t *testing.T) {
		t.Parallel()
		walk(t, "objects", "jetstream://artifacts", []failpoint.Name{failpoint.ObjectUnnamed})
	})
}

func walk(t *testing.T, name, store string, points []failpoint.Name) {
	t.Helper()
	choice := rand.New(rand.NewPCG(*seed, 1)) //nolint:gosec // it has to be repeatable
	c := found(t, &doomed, name, store)
	var victims []victim
	die := func(point failpoint.Name, program string) {
		victims = append(victims, victim{point, c.start(t, program, failpoint.Variable+"="+string(point))})
	}
	for _, point := range points {
		programs := comesBy(point)
		if len(programs) == 0 {
			t.Errorf("no program is known to come by %s", point)
			continue
		}
		if !*every {
			programs = programs[choice.IntN(len(programs)):][:1]
		}
		for _, program := range programs {
			if point != failpoint.JobResumed {
				die(point, program)
			}
		}
	}
	c.feedUntilDead(t, victims)
	if slices.Contains(points, failpoint.JobResumed) { // only whoever comes next after a checkpoint comes by there
		for _, point := range []failpoint.Name{failpoint.CheckpointRegistered, failpoint.JobResumed} {
			victims = victims[:0]
			die(point, processes.Finetune)
			c.feedUntilDead(t, victims)
		}
	}
	t.Logf("seed %d: %d points in %d processes", *seed, len(points), len(c.all()))
	c.staff(t, nil, "")
	c.start(t, processes.Finetune, "TUNEBUS_SERVICES_FINETUNE_QUEUE=trl") // finds the jobs that were cancelled there
	c.rest(t, 3*time.Minute)
	if store != "" {
		c.collect(t)
	}
	c.audited(t)
}

// collect takes away what is left to the collection of garbage: the parts of
// objects whose writers died before they named them.
func (c *town) collect(t *testing.T) {
	t.Helper()
	c.programs.Start(t, c.dir, processes.Tunebus, c.env, "gc", "--grace", "1s").Wait(t, time.Minute)
}

// staff starts one of each service of which nobody is alive, but for one.
func (c *town) staff(t *testing.T, alive map[string][]string, but string) {
	t.Helper()
	for _, program := range []string{processes.Intake, processes.Finetune, processes.Inference, processes.Evaluation, processes.Tracker} {
		if program != but && len(alive[program]) == 0 && !c.staffed[program] {
			c.staffed[program] = true
			c.start(t, program)
		}
	}
}

// feedUntilDead asks for runs until each of the doomed has died where it
// should. A service of which all have died goes on with one that lives, but for
// fine-tuning, of which one more has to die later.
func (c *town) feedUntilDead(t *testing.T, victims []victim) {
	t.Helper()
	limit := time.Now().Add(4 * time.Minute)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for fed := (time.Time{}); ; <-tick.C {
		alive := map[string][]string{}
		for _, v := range victims {
			if !v.Ended() {
				alive[v.Name] = append(alive[v.Name], string(v.point))
			} else if !v.Killed() || !strings.Contains(v.Log.String(), failpoint.Output(v.point)) {
				t.Fatalf("%s was to die at %s and did not:\n%s", v.Name, v.point, v.Log)
			}
		}
		if len(alive) == 0 {
			return
		}
		c.staff(t, alive, processes.Finetune)
		c.dismiss(t, victims)
		if time.Now().After(limit) {
			t.Errorf("never came by: %v", alive)
			return
		}
		if time.Since(fed) > 2*time.Second {
			fed = time.Now()
			c.feed(t, alive)
		}
	}
}

// dismiss tells those of the doomed to stop that come by their points only
// then, once they hold a job.
func (c *town) dismiss(t *testing.T, victims []victim) {
	t.Helper()
	var holders map[int]bool
	for _, v := range victims {
		gives := strings.HasPrefix(string(v.point), "attempt_ended") || v.point == failpoint.BeforeNak
		if !gives || v.Ended() || v.Name == processes.Intake {
			continue
		}
		if holders == nil {
			holders = c.holders(t)
		}
		if holders[v.PID()] {
			v.Signal(t, syscall.SIGTERM)
		}
	}
}

// feed asks for runs that lead programs to their points, unless enough of them
// are under way.
func (c *town) feed(t *testing.T, programs map[string][]string) {
	t.Helper()
	ended, err := c.subjects(t.Context(), events.TypePipelineCompleted+".*")
	if err != nil {
		t.Fatal(err)
	}
	const enough = 2 // of a kind
	open := map[string]int{}
	for id, kind := range c.asked {
		if !ended[events.PipelineCompleted{RunID: id}.Subject()] {
			open[kind]++
		}
	}
	for program := range programs {
		for _, kind := range kinds(program) {
			if open[kind] < enough || kind == garbage {
				c.fed++
				c.ask(t, fmt.Sprintf("%s-%d", kind, c.fed), kind)
			}
		}
	}
}
