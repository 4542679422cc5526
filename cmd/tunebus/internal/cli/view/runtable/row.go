package runtable

import (
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
	// Summary is for JSON alone; without one the line says what it can.
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

// jsonRow is a run as JSON.
type jsonRow struct {
	runsummary.Summary
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

func (r Row) json() jsonRow {
	out := jsonRow{
		Summary:     r.Summary,
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
	out.RunID, out.RunName, out.Status = r.RunID, r.RunName, r.Status
	if !r.Ended() {
		out.Elapsed = r.took().Seconds()
	}
	if r.Percent >= 0 {
		out.Percent = &r.Percent
	}
	return out
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
	case r.Partial:
		return "partial"
	case r.Status == events.StatusRunning && r.Attempt == 0 && r.Phase != "":
		return string(r.Phase) + " queued"
	case r.Status != events.StatusRunning || r.Phase == "":
		return string(r.Status)
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

// model is the last part of the base model's name, which is often a long path.
func (r Row) model() string {
	if r.Model == "" {
		return "-"
	}
	name := strings.TrimRight(r.Model, "/")
	return cell(name[strings.LastIndexByte(name, '/')+1:])
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

// span is a span of time for people, in two units at most.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}
