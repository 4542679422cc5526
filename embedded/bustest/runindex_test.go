package bustest_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// indexedRun are the facts of a run that ends with a score.
func indexedRun(id string) []events.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plan := []events.Step{{Phase: events.Evaluation, Queue: "builtin"}}
	specification := events.Specification{
		FineTuner: events.FineTuner{BaseModelID: "tiny"},
		Evaluator: events.Evaluator{Metrics: []string{"bleu_score", "rouge_score"}},
	}
	return []events.Event{
		events.PipelineAccepted{RunID: id, RunName: "name-of-" + id, RequestedAt: at, Plan: plan, Specification: specification, Labels: map[string]string{"team": "a"}},
		events.PhaseRequested{RunID: id, Phase: events.Evaluation, Queue: "builtin", Plan: plan},
		events.PhaseStarted{RunID: id, Phase: events.Evaluation, Attempt: 1, Worker: "w", StartedAt: at},
		events.PhaseCompleted{RunID: id, Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success, Scores: map[string]float64{"rouge_score": 0.75}},
		events.PipelineCompleted{
			RunID: id, Conclusion: events.Success, EndedAt: at.Add(time.Minute), DurationSeconds: 60,
			Phases: []events.PhaseResult{{Phase: events.Evaluation, Conclusion: events.Success, Attempts: 1}},
			Scores: map[string]float64{"rouge_score": 0.75},
		},
	}
}

// listed lists the runs of an index as "id status", the newest first.
func listed(t *testing.T, x *runindex.Index) []string {
	t.Helper()
	state, err := x.State(t.Context())
	if err != nil || state.Trouble != nil {
		t.Fatal(err, state.Trouble)
	}
	var out []string
	for line, err := range x.Newest(t.Context(), state) {
		if err != nil {
			t.Fatal(err)
		}
		text := line.RunID + " " + string(line.Status)
		if line.Archived {
			text += " archived"
		}
		out = append(out, text)
	}
	return out
}

// update brings an index up to the newest fact.
func update(t *testing.T, x *runindex.Index) {
	t.Helper()
	for done := false; !done; {
		var err error
		if done, err = x.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRunIndexLists: whether the lines are missing, old, new or lost, a list has
// each run as its facts are, the newest first.
func TestRunIndexLists(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	wantEqual(t, "runs of an empty server", len(listed(t, x)), 0)
	update(t, x)
	var want []string
	for i := range 300 { // several pages
		id := fmt.Sprintf("r%d", i)
		facts := indexedRun(id)
		if i%7 == 0 {
			facts = facts[:3]
			want = append(want, id+" running")
		} else {
			want = append(want, id+" success")
		}
		for _, ev := range facts {
			s.publish(t, ev)
		}
		if i == 120 {
			update(t, x)
		}
	}
	slices.Reverse(want)
	same := func(what string) {
		t.Helper()
		wantEqual(t, what, strings.Join(listed(t, x), ", "), strings.Join(want, ", "))
	}
	same("lines that lack 180 runs")
	update(t, x)
	same("lines that are new")

	// A run that ended behind the lines.
	for _, ev := range indexedRun("r0")[3:] {
		s.publish(t, ev)
	}
	want[299] = "r0 success"
	same("a run that ended since")
	update(t, x)
	same("its line")

	// A lost bucket.
	if err := s.js.DeleteStream(t.Context(), "KV_"+topology.BucketRuns); err != nil {
		t.Fatal(err)
	}
	if err := topology.Apply(t.Context(), s.conn, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	same("no lines at all")
	update(t, x)
	same("lines that were written again")
	state, err := x.State(t.Context())
	if err != nil || state.Behind() != 0 {
		t.Errorf("the lines are %d facts behind, %v", state.Behind(), err)
	}
}

// TestRunIndexLine: a line has what a list shows.
func TestRunIndexLine(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	for _, ev := range indexedRun("r1") {
		s.publish(t, ev)
	}
	update(t, x)
	state, err := x.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line, err := range x.Newest(t.Context(), state) {
		if err != nil || line.Score == nil {
			t.Fatal(err, line)
		}
		got := fmt.Sprint(line.RunName, " ", line.Phase, " ", line.Model, " ", line.Score.Name, line.Score.Value, " ", line.Labels, " ", line.Seconds, " ", line.Accepted)
		wantEqual(t, "the line", got, "name-of-r1 evaluation tiny rouge_score0.75 map[team:a] 60 1")
	}
}

// TestRunIndexArchived: an archived run keeps its line, and one whose facts are gone
// without an archive loses it.
func TestRunIndexArchived(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	for _, id := range []string{"kept", "archived", "gone"} {
		for _, ev := range indexedRun(id) {
			s.publish(t, ev)
		}
	}
	update(t, x)
	markArchived(t, s, x, "archived")
	for _, id := range []string{"archived", "gone"} {
		if err := history.New(s.conn).PurgeRun(t.Context(), id, 1<<40); err != nil {
			t.Fatal(err)
		}
		s.publish(t, events.CancelRequested{RunID: id}) // a late fact
	}
	want := "archived success archived, kept success"
	wantEqual(t, "before the update", strings.Join(listed(t, x), ", "), want)
	update(t, x)
	wantEqual(t, "after the update", strings.Join(listed(t, x), ", "), want)
}

// markArchived marks a run that is about to leave the stream.
func markArchived(t *testing.T, s *testServer, x *runindex.Index, id string) {
	t.Helper()
	facts, err := history.New(s.conn).Facts(t.Context(), id)
	if err == nil {
		err = x.MarkArchived(t.Context(), facts)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRunIndexArchivedBehindTheLines: a run has its end in the list although its facts
// left the stream before the lines knew of its end, or of the run at all.
func TestRunIndexArchivedBehindTheLines(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	for _, ev := range indexedRun("open")[:3] {
		s.publish(t, ev)
	}
	update(t, x)
	for _, ev := range append(indexedRun("open")[3:], indexedRun("new")...) {
		s.publish(t, ev)
	}
	markArchived(t, s, x, "open")
	markArchived(t, s, x, "new")
	wantEqual(t, "before the facts go", strings.Join(listed(t, x), ", "), "new success, open success archived")
	for _, id := range []string{"open", "new"} {
		if err := history.New(s.conn).PurgeRun(t.Context(), id, 1<<40); err != nil {
			t.Fatal(err)
		}
	}
	want := "new success archived, open success archived"
	wantEqual(t, "before the update", strings.Join(listed(t, x), ", "), want)
	update(t, x)
	wantEqual(t, "after the update", strings.Join(listed(t, x), ", "), want)
}

// allLines are the lines of a list by run, as JSON, each with its result behind it.
func allLines(t *testing.T, x *runindex.Index, state runindex.State) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for line, err := range x.NewestWithResults(t.Context(), state) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if line.Ended() != (len(line.Result) > 0) {
			t.Errorf("the line of %s is %s, its result %q", line.RunID, body, line.Result)
		}
		lines[line.RunID] = string(body) + string(line.Result)
	}
	return lines
}

// TestRunIndexSameLines: a line is the same whether it was made from all facts of its
// run, in steps while these came, or afterwards with many others.
func TestRunIndexSameLines(t *testing.T) {
	t.Parallel()
	facts := func(id string, change func([]events.Event) []events.Event) []events.Event {
		return change(indexedRun(id))
	}
	runs := [][]events.Event{
		facts("success", func(f []events.Event) []events.Event { return f }),
		facts("tracked", func(f []events.Event) []events.Event {
			return append(f, events.TrackingCompleted{RunID: "tracked"})
		}),
		facts("waiting", func(f []events.Event) []events.Event { return f[:2] }),
		facts("accepted", func(f []events.Event) []events.Event { return f[:1] }),
		facts("tried", func(f []events.Event) []events.Event {
			return slices.Insert(f, 3,
				events.Event(events.AttemptEnded{RunID: "tried", Phase: events.Evaluation, Attempt: 1, Reason: events.EndError}),
				events.Event(events.PhaseStarted{RunID: "tried", Phase: events.Evaluation, Attempt: 2}))
		}),
		facts("failed", func(f []events.Event) []events.Event {
			end := f[3].(events.PhaseCompleted)
			end.Conclusion, end.Error = events.Failure, &events.Problem{Code: "c", Message: "broken"}
			f[3], f[4] = end, events.PipelineCompleted{RunID: "failed", Conclusion: events.Failure}
			return f
		}),
		facts("cancelled", func(f []events.Event) []events.Event {
			return []events.Event{f[0], f[1], events.CancelRequested{RunID: "cancelled"}, events.PipelineCompleted{RunID: "cancelled", Conclusion: events.Cancelled}}
		}),
		facts("partial", func(f []events.Event) []events.Event {
			accepted, end := f[0].(events.PipelineAccepted), f[4].(events.PipelineCompleted)
			why := &events.Problem{Code: "c", Message: "no memory"}
			accepted.Plan = append([]events.Step{{Phase: events.Finetune, Queue: "builtin", OnFailure: events.Continue}}, accepted.Plan...)
			end.Phases = append([]events.PhaseResult{{Phase: events.Finetune, Conclusion: events.Failure, Attempts: 1, Error: why}}, end.Phases...)
			end.FailedPhases = []events.Phase{events.Finetune}
			f[0], f[4] = accepted, end
			return slices.Insert(f, 1,
				events.Event(events.PhaseRequested{RunID: "partial", Phase: events.Finetune, Queue: "builtin", Plan: accepted.Plan}),
				events.Event(events.PhaseCompleted{RunID: "partial", Phase: events.Finetune, Attempt: 1, Conclusion: events.Failure, Error: why}))
		}),
		facts("unscored", func(f []events.Event) []events.Event {
			phase, end := f[3].(events.PhaseCompleted), f[4].(events.PipelineCompleted)
			phase.Scores, end.Scores = nil, nil
			f[3], f[4] = phase, end
			return f
		}),
		facts("short", func(f []events.Event) []events.Event {
			end := f[4].(events.PipelineCompleted)
			end.Phases = nil
			f[4] = end
			return f
		}),
		facts("deleted", func(f []events.Event) []events.Event {
			return append(f, events.PipelineDeleted{RunID: "deleted"})
		}),
		facts("garbled", func(f []events.Event) []events.Event {
			return append(f, events.TrackingCompleted{RunID: "garbled", Gaps: []string{"a fact cannot be read"}})
		}),
	}
	s, filled := newTestServer(t, topology.Topology{}), newTestServer(t, topology.Topology{})
	x, y := runindex.New(s.conn), runindex.New(filled.conn)
	for i := range 5 { // every run has its fact number i
		for _, facts := range runs {
			if i < len(facts) {
				s.publish(t, facts[i])
			}
		}
		update(t, x)
	}
	for _, facts := range runs {
		for _, ev := range facts[min(5, len(facts)):] {
			s.publish(t, ev)
		}
	}
	s.publishRaw(t, events.PhaseStarted{RunID: "garbled", Phase: events.Evaluation, Attempt: 7}.Subject(), "junk", nil)
	update(t, x)
	state, err := x.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := allLines(t, x, state)
	want := allLines(t, x, runindex.State{Newest: state.Newest}) // from the facts
	wantEqual(t, "runs", len(want), len(runs)-1)
	if !strings.Contains(want["garbled"], "unreadable") {
		t.Errorf("nothing says that a fact cannot be read: %s", want["garbled"])
	}
	for id := range want {
		wantEqual(t, "the line of "+id, got[id], want[id])
	}
	wantEqual(t, "lines", len(got), len(want))

	// The same runs behind each other, and a list that begins when all are there.
	for _, facts := range runs {
		for _, ev := range facts {
			filled.publish(t, ev)
		}
	}
	filled.publishRaw(t, events.PhaseStarted{RunID: "garbled", Phase: events.Evaluation, Attempt: 7}.Subject(), "junk", nil)
	update(t, y)
	if state, err = y.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, want = allLines(t, y, state), allLines(t, y, runindex.State{Newest: state.Newest})
	wantEqual(t, "runs", len(want), len(runs)-1)
	for id := range want {
		wantEqual(t, "the line of "+id+" that was filled in", got[id], want[id])
	}
	wantEqual(t, "lines that were filled in", len(got), len(want))
}

// TestRunIndexLongLabels: lines of runs with long labels fit into pages.
func TestRunIndexLongLabels(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	for i := range 130 { // nothing but accepted facts
		a := indexedRun(fmt.Sprintf("r%d", i))[0].(events.PipelineAccepted)
		a.RunName = strings.Repeat("n", events.MaxNameBytes)
		a.Labels = map[string]string{"short": strings.Repeat("v", 200)}
		if i%2 == 0 {
			a.Labels["long"] = strings.Repeat("v", events.MaxNoteBytes)
		}
		a.Specification.FineTuner.BaseModelID = strings.Repeat("m", 500)
		s.publish(t, a)
	}
	update(t, x)
	wantEqual(t, "runs", len(listed(t, x)), 130)
}

// TestRunIndexResults: the results of the runs lie beside their pages. Those that are missing,
// older than their line, or written by nobody of ours are left out, and the lines stay.
func TestRunIndexResults(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	x := runindex.New(s.conn)
	for i := range 200 {
		for _, ev := range indexedRun(fmt.Sprintf("r%d", i)) {
			s.publish(t, ev)
		}
	}
	update(t, x)
	with := func(list iter.Seq2[runindex.Line, error]) (results int) {
		t.Helper()
		lines := 0
		for line, err := range list {
			if err != nil {
				t.Fatal(err)
			}
			lines++
			if len(line.Result) > 0 {
				var summary struct {
					RunID   string  `json:"run_id"`
					Seconds float64 `json:"duration_seconds"`
				}
				if json.Unmarshal(line.Result, &summary) != nil || summary.RunID != line.RunID || summary.Seconds != 60 {
					t.Errorf("the result of %s is %s", line.RunID, line.Result)
				}
				results++
			}
		}
		wantEqual(t, "lines", lines, 200)
		return results
	}
	state, err := x.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "results", with(x.NewestWithResults(t.Context(), state)), 200)
	wantEqual(t, "results of a list that wants none", with(x.Newest(t.Context(), state)), 0)
	bucket, err := s.js.KeyValue(t.Context(), topology.BucketRuns)
	if err != nil {
		t.Fatal(err)
	}
	first, err := bucket.Get(t.Context(), "result.0")
	if err != nil {
		t.Fatal(err)
	}
	of0 := 0 // the runs of the first page: those of the first 127 facts
	for line, err := range x.Newest(t.Context(), state) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Accepted < 128 {
			of0++
		}
	}
	for name, value := range map[string][]byte{"nothing": nil, "junk": []byte("junk"), "half": first.Value()[:len(first.Value())/2]} {
		if _, err := bucket.Put(t.Context(), "result.0", value); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "results beside "+name, with(x.NewestWithResults(t.Context(), state)), 200-of0)
	}
	if _, err := bucket.Put(t.Context(), "result.0", first.Value()); err != nil {
		t.Fatal(err)
	}
	s.publish(t, events.TrackingCompleted{RunID: "r3"})
	update(t, x)
	if _, err := bucket.Put(t.Context(), "result.0", first.Value()); err != nil { // as of a writer that was slow
		t.Fatal(err)
	}
	if state, err = x.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "results beside an old one", with(x.NewestWithResults(t.Context(), state)), 199)
	s.publish(t, events.PipelineDeleted{RunID: "r3"})
	update(t, x)
	if entry, err := bucket.Get(t.Context(), "result.0"); err != nil || entry.Revision() == first.Revision() || len(entry.Value()) >= len(first.Value()) {
		t.Errorf("the result of a deleted run is still there: %v", err)
	}
}
