package logcmd

import (
	"cmp"
	"fmt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/runlog"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// factLines are the lines that a fact is worth; most are worth none.
func (l *logShower) factLines(m codec.Message) []runlog.Line {
	line := runlog.Line{Time: m.Time, Level: "info"}
	var more []runlog.Line
	switch e := m.Event.(type) {
	case events.PhaseStarted:
		if e.Worker == events.IntakeWorker { // nobody works in it
			l.byIntake[attempt{e.Phase, e.Attempt}] = true
			return nil
		}
		line.Phase, line.Attempt = e.Phase, e.Attempt
		line.Text = "started by " + cmp.Or(e.Worker, "an unknown worker")
		if e.Engine != "" {
			line.Text += ", engine " + e.Engine
		}
		if e.ResumedFrom > 0 {
			line.Text += fmt.Sprintf(", from step %d on", e.ResumedFrom)
		}
	case events.AttemptEnded:
		line.Phase, line.Attempt = e.Phase, e.Attempt
		line.Text = fmt.Sprintf("ended at step %d, reason %s", e.LastStep, e.Reason)
		if lost := view.Lost(e); lost != "" {
			line.Level, line.Text = "warning", line.Text+lost
		}
		if e.Error != nil {
			line.Level, line.Text = "warning", line.Text+": "+e.Error.Code+": "+e.Error.Message
		}
	case events.PhaseCompleted:
		line.Phase, line.Attempt = e.Phase, e.Attempt
		byIntake := l.byIntake[attempt{e.Phase, e.Attempt}]
		if byIntake {
			line.Attempt = 0
		}
		line.Text = "phase ended: " + view.PhaseEnd(e, byIntake)
		if e.Error != nil {
			line.Level, line.Text = "error", line.Text+": "+e.Error.Code+": "+e.Error.Message
		}
		for _, note := range e.Notes {
			more = append(more, runlog.Line{Time: m.Time, Phase: e.Phase, Attempt: line.Attempt, Level: "info", Text: "note: " + note})
		}
	case events.CancelRequested:
		line.Text = "cancel asked for"
		if e.By != "" {
			line.Text += " by " + e.By
		}
		if e.Reason != "" {
			line.Text += ": " + e.Reason
		}
	case events.PipelineCompleted:
		line.Text = fmt.Sprintf("run ended: %s after %s", e.Conclusion, view.Took(e.DurationSeconds))
	default:
		return nil
	}
	if l.phase != "" && line.Phase != l.phase {
		return nil
	}
	return append(more, line)
}
