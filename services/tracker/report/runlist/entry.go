package runlist

import (
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
)

// Entry is one run in the list of runs.
type Entry struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	// Status is that of the run's summary, Conclusion that of the pipeline, which is success
	// also of a partial run.
	Status     events.Status     `json:"status"`
	Conclusion events.Conclusion `json:"conclusion,omitempty"`
	// Phase is the current phase, or the last one of a run that has ended.
	Phase           events.Phase       `json:"phase,omitempty"`
	RequestedAt     time.Time          `json:"requested_at,omitzero"`
	EndedAt         time.Time          `json:"ended_at,omitzero"`
	DurationSeconds float64            `json:"duration_seconds,omitempty"`
	Labels          map[string]string  `json:"labels,omitempty"`
	Scores          map[string]float64 `json:"scores,omitempty"`
	Gains           map[string]float64 `json:"gains,omitempty"` // over the base model
	MissedGates     []string           `json:"missed_gates,omitempty"`
	FailedPhases    []events.Phase     `json:"failed_phases,omitempty"`
	Error           string             `json:"error,omitempty"` // of the phase that ended the run
	// Sequence is the stream sequence of the newest fact in this entry. An
	// update never replaces an entry by one with a smaller sequence.
	Sequence uint64 `json:"sequence,omitempty"`
}

// EntryOf sums up the fold of the facts of a run. The caller sets Sequence.
func EntryOf(run events.Run) Entry {
	s := pipelinesummary.Of(run)
	e := Entry{
		RunID:           s.RunID,
		RunName:         s.RunName,
		Status:          s.Status,
		Conclusion:      s.Conclusion,
		DurationSeconds: s.DurationSeconds,
		Labels:          s.Labels,
		Scores:          s.Scores,
		Gains:           s.Gains,
		FailedPhases:    s.FailedPhases,
	}
	if s.RequestedAt != nil {
		e.RequestedAt = *s.RequestedAt
	}
	if s.EndedAt != nil {
		e.EndedAt = *s.EndedAt
	}
	for _, gate := range s.Gates {
		if !gate.Met {
			e.MissedGates = append(e.MissedGates, gate.Metric)
		}
	}
	for _, p := range s.Phases {
		if p.Status == events.StatusWaiting || p.Status == runsummary.StatusNotStarted {
			break
		}
		e.Phase = p.Phase
		e.Error = ""
		if p.Error != nil {
			e.Error = p.Error.Message
		}
	}
	if len(s.Faults) > 0 {
		e.Error = s.Faults[0].Message
	}
	return e
}
