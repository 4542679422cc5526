package runtable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// Row is a run in the list.
type Row struct {
	runindex.Line
	// Summary is for JSON alone, where the line has no result; without one the line says
	// what it can.
	Summary runsummary.Summary
	// Percent is how far the attempt at the phase is, from 0 to 100; negative if
	// that is not known. Preparing is set while it reads its data.
	Percent   int
	Preparing bool
	// Stopped is set if the process that worked on the run has ended, and nobody works on its
	// data folder.
	Stopped bool
	// WaitsForWorker is the queue whose workers are missing, as phase/name.
	WaitsForWorker string
	// Until is the end of the time that an open run has taken so far.
	Until time.Time
}

// jsonRow is what the JSON of a run has behind its summary.
type jsonRow struct {
	WaitsFor    string            `json:"waits_for_worker_of,omitempty"`
	RequestedAt time.Time         `json:"requested_at,omitzero"`
	EndedAt     time.Time         `json:"ended_at,omitzero"`
	Elapsed     float64           `json:"elapsed_seconds,omitempty"` // of a run that has not ended
	Phase       events.Phase      `json:"phase,omitempty"`
	Attempt     int               `json:"attempt,omitempty"`
	Percent     *int              `json:"percent,omitempty"`
	Model       string            `json:"base_model,omitempty"`
	MainScore   *runindex.Score   `json:"main_score,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Error       string            `json:"error,omitempty"`
	Partial     bool              `json:"partial,omitempty"`
	Archived    bool              `json:"archived,omitempty"`
	Stopped     bool              `json:"stopped,omitempty"` // its process has ended, and nobody works on it
	Unreadable  string            `json:"unreadable,omitempty"`
}

// json is the run as JSON on one line: the fields of its summary, and then those of the row.
// The summary of very many runs comes as JSON out of the list, and is not read again.
func (r Row) json() ([]byte, error) {
	row := jsonRow{
		WaitsFor:    r.WaitsForWorker,
		RequestedAt: r.RequestedAt.UTC(),
		EndedAt:     r.EndedAt.UTC(),
		Phase:       r.Phase,
		Attempt:     r.Attempt,
		Model:       r.Model,
		MainScore:   r.Score,
		Labels:      r.Labels,
		Error:       r.Error,
		Partial:     r.Partial,
		Archived:    r.Archived,
		Stopped:     r.Stopped,
		Unreadable:  r.Unreadable,
	}
	if !r.Ended() {
		row.Elapsed = r.took().Seconds()
	}
	if r.Percent >= 0 {
		row.Percent = &r.Percent
	}
	rest, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	summary := r.withConclusion(r.Result)
	if len(summary) == 0 {
		s := r.Summary
		s.RunID, s.RunName, s.Status = r.RunID, r.RunName, r.word()
		if r.Ended() {
			s.Conclusion = events.Conclusion(r.Status)
		}
		if summary, err = json.Marshal(s); err != nil {
			return nil, err
		}
	}
	if len(rest) == len("{}") {
		return summary, nil
	}
	whole := make([]byte, 0, len(summary)+len(rest))
	whole = append(append(whole, bytes.TrimSuffix(summary, []byte("}"))...), ',')
	return append(whole, rest[1:]...), nil
}

// withConclusion is a stored summary with the status and the conclusion of the run. Earlier
// versions stored the conclusion as the status, and nothing else.
func (r Row) withConclusion(summary []byte) []byte {
	now := []byte(`"status":"` + string(r.word()) + `","conclusion":"` + string(r.Status) + `"`)
	if bytes.Contains(summary, now) {
		return summary
	}
	return bytes.Replace(summary, []byte(`"status":"`+string(r.Status)+`",`), append(now, ','), 1)
}

// word is the status in one word: by it the list is filtered, and JSON has it.
func (r Row) word() events.Status {
	if r.Stopped {
		return runsummary.Stopped(r.Word())
	}
	return r.Word()
}

// took is how long the run took, or has taken so far.
func (r Row) took() time.Duration {
	switch {
	case r.Ended():
		return time.Duration(r.Seconds * float64(time.Second))
	case r.RequestedAt.IsZero() || r.Until.Before(r.RequestedAt):
		return 0
	}
	return r.Until.Sub(r.RequestedAt)
}

// status is the status for people: of an open run what it does.
func (r Row) status() string {
	switch {
	case r.Queued() && !r.Stopped:
		return string(r.Phase) + " queued"
	case r.Status != events.StatusRunning || r.Phase == "":
		return string(r.word())
	case r.Stopped && r.Percent >= 0 && !r.Preparing:
		return fmt.Sprintf("%s stopped, %d%%", r.Phase, r.Percent)
	case r.Stopped:
		return string(r.Phase) + " stopped"
	case r.Preparing:
		return string(r.Phase) + " prepares"
	case r.Percent < 0:
		return string(r.Phase)
	}
	return fmt.Sprintf("%s %d%%", r.Phase, r.Percent)
}

// score is the main score for people, or a dash.
func (r Row) score() string {
	if r.Score == nil {
		return "-"
	}
	return fmt.Sprintf("%s %.3f", cell(r.Score.Name), r.Score.Value)
}

// about is what else there is to say, in parts.
func (r Row) about() []string {
	var parts []string
	if r.Archived {
		parts = append(parts, "archived")
	}
	if r.WaitsForWorker != "" {
		parts = append(parts, view.WaitsForWorker(r.WaitsForWorker))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		parts = append(parts, cell(key)+"="+cell(r.Labels[key]))
	}
	if r.Error != "" {
		parts = append(parts, cell(r.Error))
	}
	return parts
}

// model is the base model by the name that the specification has for it, as everywhere.
func (r Row) model() string {
	if r.Model == "" {
		return "-"
	}
	return cell(r.Model)
}

// span is how long a run took; a dash for none.
func (r Row) span() string {
	if r.took() <= 0 {
		return "-"
	}
	return view.Took(r.took().Seconds())
}

// cell makes a text fit for a line of a terminal.
func cell(text string) string {
	return strings.Join(strings.Fields(view.Printable(text)), " ")
}

// when is a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
