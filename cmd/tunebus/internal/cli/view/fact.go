package view

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// Fact writes to the screen what a fact of a run means for people. Facts that
// mean nothing to them are left out. figures stand behind the end of a phase.
func (c *Console) Fact(e events.Event, figures ...string) {
	switch e := e.(type) {
	case events.PipelineAccepted:
		c.Say("run %s (%s): %s", Inline(e.RunName), e.RunID, Count(len(e.Plan), "phase"))
	case events.PhaseStarted:
		if c.byIntake.ends(e) {
			return
		}
		how := ""
		if e.Attempt > 1 {
			how = fmt.Sprintf(", attempt %d", e.Attempt)
		}
		if e.ResumedFrom > 0 {
			how += fmt.Sprintf(", resumed from step %d", e.ResumedFrom)
		}
		c.Say("%-10s started%s", e.Phase, how)
	case events.AttemptEnded:
		why := ""
		if e.Error != nil {
			why = ": " + c.errors.once(e.Error.Message)
		}
		c.Say("%-10s attempt %d ended, reason %s%s%s", e.Phase, e.Attempt, e.Reason, Lost(e), Sentence(why))
	case events.PhaseCompleted:
		c.Say("%-10s %s%s", e.Phase, PhaseEnd(e, c.byIntake[e.Phase] == e.Attempt), strings.Join(figures, ""))
		for _, n := range Together(c.Unsaid(e.Notes...)) {
			c.Say("           note: %s", Sentence(n))
		}
		if e.Error != nil && !c.errors[e.Error.Message] {
			c.Say("           %s", Sentence(c.errors.once(e.Error.Message)))
		}
	case events.PublishedCompleted:
		c.published(e)
	case events.CancelRequested:
		reason := ""
		if e.Reason != "" {
			reason = ": " + Inline(e.Reason)
		}
		c.Say("cancel requested%s", reason)
	}
}

// Lost says which steps of an attempt the next one makes again; nothing where there are none.
func Lost(e events.AttemptEnded) string {
	if e.LostSteps == 0 {
		return ""
	}
	return fmt.Sprintf(", %s without a checkpoint: the next attempt goes on behind step %d", Count(int(e.LostSteps), "step"), e.LastStep-e.LostSteps)
}

// PhaseEnd says how a phase ended, and after which time. byIntake is set if intake ended it in
// the place of a worker: nobody knows how much of that time was work.
func PhaseEnd(e events.PhaseCompleted, byIntake bool) string {
	if byIntake {
		return string(e.Conclusion)
	}
	return fmt.Sprintf("%s after %s", e.Conclusion, Took(e.EndedAt.Sub(e.StartedAt).Seconds()))
}

// endedByIntake are the attempts with which intake ends phases in the place of a worker.
type endedByIntake map[events.Phase]int

// ends reports whether intake ends a phase with this attempt, in which nobody works.
func (b endedByIntake) ends(e events.PhaseStarted) bool {
	if e.Worker != events.IntakeWorker {
		return false
	}
	b[e.Phase] = e.Attempt
	return true
}

// saidErrors are the messages of errors that a person has read.
type saidErrors map[string]bool

// once returns a message, or that it is one that was said before.
func (s saidErrors) once(message string) string {
	if s[message] {
		return "the same error"
	}
	s[message] = true
	return message
}

// WaitsForWorker says that nobody takes the jobs of a queue, which is phase/name.
func WaitsForWorker(queue string) string {
	return fmt.Sprintf("waits for a worker of %s: none has been seen", queue)
}

// WaitsFor says what the attempt at a phase waits for.
func WaitsFor(what string) string { return "waits for " + Inline(what) }
