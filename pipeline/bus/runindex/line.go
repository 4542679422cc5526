package runindex

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Line is a run in a list of runs.
type Line struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	// Status is the conclusion if the run has ended, or [StatusUnreadable].
	Status events.Status `json:"status"`
	// Partial is set if the run came to its end, but missed a gate or went on after
	// a phase had failed.
	Partial bool `json:"partial,omitempty"`
	// Phase is the phase that is worked on or waits for a worker, or the last one
	// that ended.
	Phase events.Phase `json:"phase,omitempty"`
	// Attempt works on the phase; 0 if none does.
	Attempt int `json:"attempt,omitempty"`
	// Earlier is the newest attempt at Phase if that waits for a worker again; 0: there was none.
	Earlier int `json:"earlier,omitempty"`
	// Queue is where the job of the phase waits; empty if it does not.
	Queue string `json:"queue,omitempty"`
	// Model is the base model.
	Model       string    `json:"model,omitempty"`
	RequestedAt time.Time `json:"requested_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	// Seconds is how long a run took that has ended.
	Seconds float64 `json:"seconds,omitempty"`
	// Score is the first metric of the specification with a value.
	Score  *Score            `json:"score,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// LabelsCut is set if the line has no labels since they are long.
	LabelsCut bool `json:"labels_cut,omitempty"`
	// Error is why the run failed, in short.
	Error string `json:"error,omitempty"`
	// Accepted and Newest are the sequences of the accepted fact and of the newest
	// one, UpdatedAt is the time of the newest.
	Accepted  uint64    `json:"accepted"`
	Newest    uint64    `json:"newest"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// Archived is set before the facts of the run leave the stream.
	Archived bool `json:"archived,omitempty"`
	// Unreadable are the facts that can not be read.
	Unreadable string `json:"unreadable,omitempty"`
	// Result is the [runsummary.Summary] of a run that has ended, as JSON on one line.
	// It is empty where a list does not want it, or has to read the facts for it. It
	// lies beside the pages, since it is long.
	Result []byte `json:"-"`
}

// Score is a score of a run by its name.
type Score struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// StatusUnreadable is the status of a run whose accepted fact cannot be read.
const StatusUnreadable events.Status = "unreadable"

// The bounds of a line, in bytes: a page has to fit into a message.
const (
	maxNameBytes   = events.MaxNameBytes
	maxLabelBytes  = 256
	maxErrorBytes  = 160
	maxUnreadBytes = 1000
)

// Word is the status of the run in one word, as [runsummary.StatusOf] has it. The line
// itself keeps the conclusion, which older programs read.
func (l Line) Word() events.Status {
	if l.Partial {
		return runsummary.StatusPartial
	}
	return l.Status
}

// Queued reports whether a phase of a run waits for a worker, although one has worked on the
// run before: its status is still [events.StatusRunning].
func (l Line) Queued() bool {
	return l.Status == events.StatusRunning && l.Attempt == 0 && l.Phase != ""
}

// Ended reports whether the run has ended.
func (l Line) Ended() bool {
	return events.Conclusion(l.Status).Valid()
}

// LineOf sums up the facts of a run, which are in the order of the stream. ok is
// false if they make no run: its accepted fact is not there, or the run is deleted.
func LineOf(msgs []codec.Message) (line Line, ok bool) { return lineOf(history.Fold(msgs), msgs) }

// lineOf is [LineOf] for facts that were folded before.
func lineOf(run events.Run, msgs []codec.Message) (line Line, ok bool) {
	for _, m := range msgs {
		a, err := events.ParseSubject(m.Subject)
		if err == nil && a.Type == events.TypePipelineAccepted {
			line.RunID, line.Accepted, ok = a.Run, m.Sequence, true
		}
		if m.Sequence > line.Newest {
			line.Newest, line.UpdatedAt = m.Sequence, m.Time
		}
	}
	if !ok {
		return Line{}, false
	}
	line.Status = run.Status()
	if err := history.Unreadable(msgs); err != nil {
		line.Unreadable = events.Cut(err.Error(), maxUnreadBytes)
	}
	if run.Accepted == nil {
		line.Status = StatusUnreadable
		return line, line.Unreadable != ""
	}
	line.addAccepted(*run.Accepted)
	line.addPhases(run)
	if run.Completed != nil {
		line.addEnd(run)
		line.addResult(run)
	}
	return line, true
}

func (l *Line) addAccepted(a events.PipelineAccepted) {
	l.RunName, l.RequestedAt, l.Labels = events.Cut(a.RunName, maxNameBytes), a.RequestedAt, a.Labels
	l.Model = events.Cut(a.Specification.FineTuner.BaseModelID, maxNameBytes)
	if l.Model == "" {
		l.Model = events.Cut(a.Specification.Inferencer.ModelID, maxNameBytes)
	}
	size := 0
	for key, value := range a.Labels {
		size += events.TextSize(key) + events.TextSize(value)
	}
	if size > maxLabelBytes {
		l.Labels, l.LabelsCut = nil, true
	}
}

// addPhases adds the phase that is worked on, and the main score.
func (l *Line) addPhases(run events.Run) {
	for _, step := range run.Accepted.Plan {
		state := run.Phases[step.Phase]
		if state == nil {
			break
		}
		l.Phase, l.Attempt, l.Earlier, l.Queue = step.Phase, 0, 0, ""
		if state.Claimed() {
			l.Attempt = state.NextAttempt() - 1
		} else if state.Completed == nil {
			l.Queue, l.Earlier = step.Queue, state.NextAttempt()-1
		}
		if c := state.Completed; c != nil && c.Error != nil {
			l.Error = events.Cut(c.Error.Message, maxErrorBytes)
		}
	}
	if state := run.Phases[events.Evaluation]; state != nil && state.Completed != nil {
		l.Score = MainScore(run.Accepted.Specification.Evaluator.Metrics, state.Completed.Scores)
	}
}

// MainScore is the score of the first of the metrics that has one; nil if none
// has.
func MainScore(metrics []string, scores map[string]float64) *Score {
	for _, metric := range metrics {
		for _, name := range spec.Scores(metric) {
			if value, ok := scores[name]; ok {
				return &Score{Name: name, Value: value}
			}
		}
	}
	return nil
}

func (l *Line) addEnd(run events.Run) {
	end := run.Completed
	l.EndedAt, l.Seconds = end.EndedAt, end.DurationSeconds
	l.Attempt, l.Queue = 0, ""
	missed := slices.ContainsFunc(end.Gates, func(g events.Gate) bool { return !g.Met })
	l.Partial = end.Conclusion == events.Success && (missed || len(end.FailedPhases) > 0)
	if end.Conclusion == events.Success && !l.Partial {
		l.Error = ""
	}
}

// addResult adds the summary of the run, with the name that the line has.
func (l *Line) addResult(run events.Run) {
	s := runsummary.Of(run)
	s.RunName = l.RunName
	if text, err := json.Marshal(s); err == nil { // the numbers of a fact came from JSON
		l.Result = text
	}
}
