package cli

import (
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
)

// attempts are those at the phases that took as many of them, or more.
func attempts(run events.Run, least int) []events.AttemptResult {
	if run.Accepted == nil {
		return nil
	}
	var all []events.AttemptResult
	for _, step := range run.Accepted.Plan {
		if results := run.Phases[step.Phase].Results(); len(results) >= least {
			all = append(all, results...)
		}
	}
	return all
}

const attemptHeader = "ATTEMPT\tOUTCOME\tWORKER\tFROM STEP\tSTARTED\tSECONDS\tERROR"

// attemptLine is a line of the table of attempts.
func attemptLine(a events.AttemptResult) string {
	worker, started, seconds, why := "-", "-", "-", ""
	if a.Worker != "" {
		worker = a.Worker
	}
	if !a.StartedAt.IsZero() {
		started = a.StartedAt.UTC().Format(time.RFC3339)
		if !a.EndedAt.IsZero() {
			seconds = fmt.Sprintf("%.1f", a.EndedAt.Sub(a.StartedAt).Seconds())
		}
	}
	if a.Error != nil {
		why = a.Error.Code + ": " + a.Error.Message
	}
	return fmt.Sprintf("%s %d\t%s\t%s\t%d\t%s\t%s\t%s", a.Phase, a.Number, a.Outcome, worker, a.ResumedFrom, started, seconds, why)
}
