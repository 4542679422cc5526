package projection

import (
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// tagAttempt begins the names of the tags of attempts.
const tagAttempt = "tunebus.attempt."

// attemptTags has one tag for each attempt of a worker at a phase: how it ended, which
// worker it ran on, the step that it resumed from, and its times. A tag is
// written again when more is known.
func attemptTags(state *events.PhaseState) []mlflow.Tag {
	var tags []mlflow.Tag
	for _, a := range runsummary.Results(state) {
		tags = append(tags, mlflow.Tag{Key: fmt.Sprint(tagAttempt, a.Number), Value: describeAttempt(a)})
	}
	return tags
}

// describeAttempt is one line, such as
//
//	error (disk_full: no space left) at step 40; worker gpu-3, builtin; resumed from step 20; 2026-01-02T03:04:05Z to 2026-01-02T04:05:06Z
func describeAttempt(a events.AttemptResult) string {
	end := a.Outcome
	if a.Error != nil {
		end += fmt.Sprintf(" (%s: %s)", a.Error.Code, a.Error.Message)
	}
	if a.LastStep > 0 {
		end += fmt.Sprintf(" at step %d", a.LastStep)
		if a.LostSteps > 0 {
			end += fmt.Sprintf(" (%d without a checkpoint)", a.LostSteps)
		}
	}
	parts := []string{end}
	if a.Worker != "" {
		parts = append(parts, strings.TrimSuffix("worker "+a.Worker+", "+a.Engine, ", "))
	}
	if a.ResumedFrom > 0 {
		parts = append(parts, fmt.Sprintf("resumed from step %d", a.ResumedFrom))
	}
	from, to := utc(a.StartedAt), utc(a.EndedAt)
	switch {
	case from != "" && to != "":
		parts = append(parts, from+" to "+to)
	case from != "":
		parts = append(parts, "since "+from)
	case to != "":
		parts = append(parts, "until "+to)
	}
	return strings.Join(parts, "; ")
}

// utc is empty for the zero time.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
