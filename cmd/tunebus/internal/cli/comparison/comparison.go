package comparison

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Comparison is what differs between two runs.
type Comparison struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Specification are the keys whose values differ, Inputs the inputs whose digests
	// do.
	Specification []Difference `json:"specification"`
	Inputs        []Difference `json:"inputs"`
	Loss          []Numbers    `json:"loss"`
	Scores        []Numbers    `json:"scores"`
	// Rows is nil where the scores of rows cannot be compared; Notes say why.
	Rows  *Rows    `json:"rows,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// Incomplete is set if something that a run has cannot be read; Notes say what.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Side is one of the runs.
type Side struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name"`
	// Status is that of the run's summary, Conclusion that of the pipeline.
	Status     events.Status     `json:"status"`
	Conclusion events.Conclusion `json:"conclusion,omitempty"`
	// Shortfall is why a run that came to its end did not succeed.
	Shortfall   string    `json:"shortfall,omitempty"`
	RequestedAt time.Time `json:"requested_at,omitzero"`
	Seconds     float64   `json:"duration_seconds,omitempty"`
	// Tuned is set if its answers are those of a tuned model.
	Tuned bool `json:"tuned"`
}

// Difference is a value that differs; empty where a run has none.
type Difference struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
}

// Numbers are a number of both runs; nil where a run has none.
type Numbers struct {
	Name string   `json:"name"`
	A    *float64 `json:"a"`
	B    *float64 `json:"b"`
	// Change is the second minus the first.
	Change *float64 `json:"change,omitempty"`
}

// Options say what to compare beside the facts.
type Options struct {
	// Open opens the scores of an evaluation.
	Open func(ctx context.Context, ref events.Reference) (Opener, error)
	// Loss reads the losses of a run.
	Loss func(ctx context.Context, run events.Run) (losshistory.Curves, error)
	// Metric is the score by which rows are compared; empty: the first one of the
	// specification that rows of both runs have.
	Metric string
	// Rows is how many of the rows are listed that changed most.
	Rows int
	// Idle is set where nobody works on runs, so that an open one is stopped.
	Idle bool
}

// UnknownMetricError says that neither run can have the score that was asked for.
type UnknownMetricError struct {
	Metric string
	// Scores are those that a run can have.
	Scores []string
}

func (e *UnknownMetricError) Error() string {
	if len(e.Scores) == 0 {
		return fmt.Sprintf("--metric %s: neither run has scores", e.Metric)
	}
	return fmt.Sprintf("--metric %s: neither run has this score; want one of %s", e.Metric, strings.Join(e.Scores, ", "))
}

// Of compares two runs that were accepted. What cannot be read is a note, and hides
// nothing else. The error is an [*UnknownMetricError] for a score that no run has.
func Of(ctx context.Context, a, b events.Run, o Options) (Comparison, error) {
	if known := knownScores(a, b); o.Metric != "" && !slices.Contains(known, o.Metric) {
		return Comparison{}, &UnknownMetricError{o.Metric, known}
	}
	c := Comparison{A: sideOf(a, o.Idle), B: sideOf(b, o.Idle), Inputs: inputs(a, b)}
	var err error
	if c.Specification, err = specification(a, b); err != nil {
		return Comparison{}, err
	}
	sa, sb := runsummary.Of(a), runsummary.Of(b)
	c.Scores = append(numbers("", scoresOf(a, sa.Scores, false), scoresOf(b, sb.Scores, false)),
		numbers("base model: ", scoresOf(a, sa.BaselineScores, true), scoresOf(b, sb.BaselineScores, true))...)
	if c.Loss, err = c.losses(ctx, a, b, o); err != nil {
		return Comparison{}, err
	}
	if c.Rows, err = c.rows(ctx, a, b, o); err != nil {
		return Comparison{}, err
	}
	return c, nil
}

func sideOf(run events.Run, idle bool) Side {
	s := runsummary.Of(run)
	if idle {
		s.Status = runsummary.Stopped(s.Status)
	}
	return Side{RunID: s.RunID, RunName: s.RunName, Status: s.Status, Conclusion: s.Conclusion, Shortfall: runsummary.Shortfall(run), RequestedAt: run.Accepted.RequestedAt, Seconds: s.Seconds, Tuned: runsummary.TunedModel(run)}
}

// knownScores are the names of the scores that one of the runs has or may have, sorted.
func knownScores(runs ...events.Run) []string {
	names := map[string]bool{}
	for _, run := range runs {
		for _, metric := range run.Accepted.Specification.Evaluator.Metrics {
			for _, name := range spec.Scores(metric) {
				names[name] = true
			}
		}
		if state := run.Phases[events.Evaluation]; state != nil && state.Completed != nil {
			for name := range state.Completed.Scores {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// scoresOf are the scores of a run, also of one that goes on behind its evaluation.
func scoresOf(run events.Run, scores map[string]float64, baseline bool) map[string]float64 {
	state := run.Phases[events.Evaluation]
	switch {
	case len(scores) > 0 || state == nil || state.Completed == nil:
		return scores
	case baseline:
		return state.Completed.BaselineScores
	}
	return state.Completed.Scores
}

// numbers puts the numbers of both runs side by side, by name.
func numbers(prefix string, a, b map[string]float64) []Numbers {
	names := map[string]bool{}
	for _, side := range []map[string]float64{a, b} {
		for name := range side {
			names[name] = true
		}
	}
	out := []Numbers{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n := Numbers{Name: prefix + name}
		va, inA := a[name]
		vb, inB := b[name]
		if inA {
			n.A = &va
		}
		if inB {
			n.B = &vb
		}
		if inA && inB {
			change := vb - va
			n.Change = &change
		}
		out = append(out, n)
	}
	return out
}

// losses compares the losses at the end of the fine-tunings.
func (c *Comparison) losses(ctx context.Context, a, b events.Run, o Options) ([]Numbers, error) {
	var sides [2]map[string]float64
	for i, run := range []events.Run{a, b} {
		sides[i] = map[string]float64{}
		curves, err := o.Loss(ctx, run)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			c.miss("the loss of run %s cannot be read: %v", run.ID, err)
		}
		for name, curve := range map[string]*losshistory.Curve{"training loss": curves.Training, "validation loss": curves.Validation} {
			if curve != nil {
				sides[i][name+", first"], sides[i][name+", last"] = curve.First, curve.Last
				sides[i][name+", steps"] = float64(curve.Steps)
			}
		}
	}
	return numbers("", sides[0], sides[1]), nil
}

// miss notes that something that a run has cannot be read.
func (c *Comparison) miss(format string, args ...any) {
	c.Incomplete = true
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// specification compares the values of all keys, and the plans.
func specification(a, b events.Run) ([]Difference, error) {
	var sides [2]map[string]string
	for i, run := range []events.Run{a, b} {
		sides[i] = map[string]string{}
		text, err := json.Marshal(run.Accepted.Specification)
		if err != nil {
			return nil, err
		}
		var sections map[string]map[string]json.RawMessage
		if err := json.Unmarshal(text, &sections); err != nil {
			return nil, err
		}
		for section, keys := range sections {
			for key, value := range keys {
				sides[i][section+"."+key] = string(value)
			}
		}
		var plan []string
		for _, step := range run.Accepted.Plan {
			plan = append(plan, string(step.Phase)+"/"+step.Queue)
		}
		sides[i]["plan"] = strings.Join(plan, ", ")
	}
	fillDefaults(sides)
	replaced([2]events.Run{a, b}, sides)
	return differences(sides[0], sides[1]), nil
}

// fillDefaults gives keys that events leave out where they have their default the value that
// they have, where the other side has another one.
func fillDefaults(sides [2]map[string]string) {
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		for i, side := range sides {
			_, here := side[key]
			if _, there := sides[1-i][key]; there && !here && k.Default != "" {
				side[key] = k.Default
			}
		}
	}
}

// inputs compares the digests of what the runs were given and of what they read.
func inputs(a, b events.Run) []Difference {
	var sides [2]map[string]string
	for i, run := range []events.Run{a, b} {
		sides[i] = map[string]string{}
		for key, ref := range run.Accepted.Inputs.References() {
			text := "sha256 " + ref.SHA256
			if rows := RowsOf(run, key); rows > 0 {
				text = countedRows(rows) + ", " + text
			}
			sides[i][strings.TrimPrefix(key, "inputs.files.")] = text
		}
		for _, state := range run.Phases {
			if state.Completed == nil {
				continue
			}
			for _, set := range state.Completed.Datasets {
				sides[i][set.Key] = countedRows(max(set.Rows, set.RowsRead)) + ", sha256 " + set.SHA256
			}
		}
	}
	return slices.DeleteFunc(differences(sides[0], sides[1]), func(d Difference) bool {
		return digest(d.A) != "" && digest(d.A) == digest(d.B) // one run may not have counted its rows
	})
}

// digest is what stands behind "sha256" in the text of an input.
func digest(text string) string {
	_, sum, _ := strings.Cut(text, "sha256 ")
	return sum
}

func countedRows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// RowsOf is how many rows the evaluation of a run read of an input that holds answers; 0 if it
// is another input, or if the run has no such count.
func RowsOf(run events.Run, input string) (rows int64) {
	state := run.Phases[events.Evaluation]
	if state == nil || state.Completed == nil {
		return 0
	}
	coverage := state.Completed.Coverage
	switch input {
	case "inputs.predictions":
	case "inputs.baseline_predictions":
		coverage = state.Completed.BaselineCoverage
	default:
		return 0
	}
	for _, c := range coverage {
		rows = max(rows, c.Rows)
	}
	return rows
}

func differences(a, b map[string]string) []Difference {
	out := []Difference{}
	for key, value := range a {
		if b[key] != value {
			out = append(out, Difference{Key: key, A: value, B: b[key]})
		}
	}
	for key, value := range b {
		if _, ok := a[key]; !ok {
			out = append(out, Difference{Key: key, B: value})
		}
	}
	slices.SortFunc(out, func(x, y Difference) int { return cmp.Compare(x.Key, y.Key) })
	return out
}
