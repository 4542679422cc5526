package runcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// news says on the screen what becomes of the runs of services that stay up: a line
// for each step of each run.
type news struct {
	console *view.Console
	// latest reads what the stream holds on a subject. What was only published may
	// have been refused.
	latest func(ctx context.Context, subject string) (codec.Message, error)
	runs   map[string]*newsRun
	// ended are the last runs that ended, whose facts may be published again.
	ended []string
	// rejected are the last requests whose rejection was said: intake may publish it again.
	rejected []uint64
}

// newsRun is a run that has not ended.
type newsRun struct {
	name    string
	metrics []string
	said    map[string]bool // subjects
	// byIntake are the attempts with which intake ends phases in the place of a worker.
	byIntake map[events.Phase]int
}

const (
	// newsWaiting is how many facts may wait to be said. Further ones are counted.
	newsWaiting = 4096
	// newsEnded is how many runs that ended are remembered.
	newsEnded = 1000
	// shownID is how much of an id that no run may have is said, in bytes.
	shownID = 40
)

// newsSubjects are the facts that are said.
func newsSubjects() []string {
	return []string{
		events.TypePipelineAccepted + ".*", events.TypePipelineRejected + ".*", events.TypeCancelRequested + ".*",
		events.TypePipelineDeleted + ".*", "*." + events.EventStarted + ".*.*", "*." + events.EventAttemptEnded + ".*.*",
		"*." + events.EventCompleted + ".*",
	}
}

// sayNews begins to say what happens on a server. It ends with ctx; done is closed
// then.
func sayNews(ctx context.Context, console *view.Console, b *conn.Conn) (done <-chan struct{}, err error) {
	n := &news{console: console, latest: history.New(b).Latest, runs: map[string]*newsRun{}}
	waiting, lost, ended := make(chan codec.Message, newsWaiting), make(chan struct{}, 1), make(chan struct{})
	err = wakeup.Listen(ctx, b, func(m codec.Message) {
		select {
		case waiting <- m:
		default:
			select {
			case lost <- struct{}{}:
			default:
			}
		}
	}, newsSubjects()...)
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-lost:
				console.Say("more happens than can be shown here; \"tunebus runs\" lists the runs")
			case m := <-waiting:
				n.say(ctx, m)
			}
		}
	}()
	return ended, nil
}

// say says a fact, once.
func (n *news) say(ctx context.Context, m codec.Message) {
	fact, ok := m.Event.(events.Fact)
	if !ok {
		return
	}
	if _, started := m.Event.(events.PhaseStarted); !started {
		stored, err := n.stored(ctx, m.Subject)
		if err != nil || stored == nil {
			return // refused, or removed again
		}
		fact = stored
	}
	if r, ok := fact.(events.PipelineRejected); ok {
		n.sayRejected(r)
		return
	}
	run := n.run(ctx, fact)
	if run == nil || run.said[m.Subject] {
		return
	}
	run.said[m.Subject] = true
	if text := run.text(fact); text != "" {
		n.console.Say("%s %s (%s): %s", clock(), view.Inline(run.name), fact.Run(), view.Printable(text))
	}
	switch fact.(type) {
	case events.PipelineCompleted, events.PipelineDeleted:
		delete(n.runs, fact.Run())
		if n.ended = append(n.ended, fact.Run()); len(n.ended) > newsEnded {
			n.ended = n.ended[1:]
		}
	}
}

// sayRejected says once that a request was rejected.
func (n *news) sayRejected(r events.PipelineRejected) {
	if slices.Contains(n.rejected, r.RequestSequence) {
		return
	}
	if n.rejected = append(n.rejected, r.RequestSequence); len(n.rejected) > newsEnded {
		n.rejected = n.rejected[1:]
	}
	name := ""
	if id := (runlister.Rejected{PipelineRejected: r}).ID(); id == r.RunID {
		name = " (" + id + ")"
	}
	n.console.Say("%s request %d%s is rejected: %s", clock(), r.RequestSequence, name, faults(r.Faults))
}

// stored reads the fact on a subject. The message may be a moment ahead of the
// stream.
func (n *news) stored(ctx context.Context, subject string) (events.Fact, error) {
	const tries = 5
	for try := 1; ; try++ {
		m, err := n.latest(ctx, subject)
		if err == nil || !errors.Is(err, history.ErrNotFound) || try == tries {
			fact, _ := m.Event.(events.Fact)
			return fact, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// run returns the run of a fact; nil if it ended before.
func (n *news) run(ctx context.Context, fact events.Fact) *newsRun {
	id := fact.Run()
	if run := n.runs[id]; run != nil {
		return run
	}
	run := &newsRun{name: id, said: map[string]bool{}, byIntake: map[events.Phase]int{}}
	switch f := fact.(type) {
	case events.PipelineDeleted:
		run.name = f.RunName
	default:
		for _, ended := range n.ended {
			if ended == id {
				return nil
			}
		}
		accepted, ok := fact.(events.PipelineAccepted)
		if !ok { // accepted before these services started
			stored, _ := n.stored(ctx, events.PipelineAccepted{RunID: id}.Subject())
			accepted, ok = stored.(events.PipelineAccepted)
		}
		if ok {
			run.name, run.metrics = accepted.RunName, accepted.Specification.Evaluator.Metrics
		}
	}
	n.runs[id] = run
	return run
}

// text is what a fact says to people; empty for nothing.
func (r *newsRun) text(fact events.Fact) string {
	switch f := fact.(type) {
	case events.PipelineAccepted:
		return "accepted, " + view.Count(len(f.Plan), "phase")
	case events.PhaseStarted:
		if f.Worker == events.IntakeWorker { // nobody works in it
			r.byIntake[f.Phase] = f.Attempt
			return ""
		}
		text := string(f.Phase) + " started"
		if f.Attempt > 1 {
			text += fmt.Sprintf(", attempt %d", f.Attempt)
		}
		if f.ResumedFrom > 0 {
			text += fmt.Sprintf(", resumed from step %d", f.ResumedFrom)
		}
		return text
	case events.AttemptEnded:
		return fmt.Sprintf("%s attempt %d ended, reason %s%s%s", f.Phase, f.Attempt, f.Reason, view.Lost(f), problem(f.Error))
	case events.PhaseCompleted:
		if f.Conclusion != events.Success {
			return fmt.Sprintf("%s %s%s", f.Phase, view.PhaseEnd(f, r.byIntake[f.Phase] == f.Attempt), problem(f.Error))
		}
		took := f.EndedAt.Sub(f.StartedAt).Seconds()
		return fmt.Sprintf("%s done in %s%s", f.Phase, view.Took(took), mainFigure(f, r.metrics))
	case events.PipelineCompleted:
		if why := runsummary.Shortfall(events.Run{Completed: &f}); why != "" {
			return fmt.Sprintf("%s in %s: %s", runsummary.Partial, view.Took(f.DurationSeconds), why)
		}
		return fmt.Sprintf("%s in %s", f.Conclusion, view.Took(f.DurationSeconds))
	case events.CancelRequested:
		if f.Reason != "" {
			return "cancel requested: " + f.Reason
		}
		return "cancel requested"
	case events.PipelineDeleted:
		return "deleted"
	}
	return ""
}

// mainFigure is the figure of a phase that people look for first: the loss, the
// number of answers, the main score.
func mainFigure(f events.PhaseCompleted, metrics []string) string {
	switch f.Phase {
	case events.Finetune:
		if loss, ok := f.Statistics["final_training_loss"]; ok {
			return ", loss " + view.Loss(loss)
		}
	case events.Inference:
		rows := int64(0)
		for _, d := range f.Datasets {
			rows += d.Rows
		}
		if rows > 0 {
			return ", " + view.Count(int(rows), "answer")
		}
	case events.Evaluation:
		for _, metric := range metrics {
			for _, name := range spec.Scores(metric) {
				if score, ok := f.Scores[name]; ok {
					return fmt.Sprintf(", %s %.3f", name, score)
				}
			}
		}
	}
	return ""
}

func problem(p *events.Problem) string {
	if p == nil {
		return ""
	}
	return ": " + p.Message
}

// faults are the faults of a request on one line.
func faults(all []events.Fault) string {
	var texts []string
	for _, f := range all {
		key := f.Key
		if key == "run_id" { // by it people find their request
			key = fmt.Sprintf("%s %q", key, events.Cut(f.Value, shownID))
		}
		texts = append(texts, view.Inline(key+": "+f.Message))
	}
	return strings.Join(texts, "; ")
}

func clock() string { return time.Now().Format(time.TimeOnly) }
