package showcmd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// scoredRun is a run that was asked for days ago and has ended with a score.
func scoredRun(id string, daysAgo int, labels map[string]string) []events.Event {
	at := time.Now().AddDate(0, 0, -daysAgo)
	plan := []events.Step{{Phase: events.Evaluation, Queue: "builtin"}}
	specification := events.Specification{FineTuner: events.FineTuner{BaseModelID: "models/tiny"}, Evaluator: events.Evaluator{Metrics: []string{"bleu_score", "rouge_score"}}}
	scores := map[string]float64{"rouge_score": 0.75}
	return []events.Event{
		events.PipelineAccepted{RunID: id, RunName: "name-of-" + id, RequestedAt: at, Plan: plan, Specification: specification, Labels: labels},
		events.PhaseRequested{RunID: id, Phase: events.Evaluation, Queue: "builtin", Plan: plan},
		events.PhaseStarted{RunID: id, Phase: events.Evaluation, Attempt: 1, Worker: "w", StartedAt: at},
		events.PhaseCompleted{RunID: id, Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success, Scores: scores},
		events.PipelineCompleted{RunID: id, Conclusion: events.Success, EndedAt: at.Add(time.Minute), DurationSeconds: 60, Scores: scores},
	}
}

// publishRuns stores runs in different states: "a" and "b" have ended, "c" missed a
// gate, "d" works on step 30 of 40, and the name of "e" holds control characters.
func publishRuns(t *testing.T, b *conn.Conn) {
	t.Helper()
	clitest.Publish(t, b, scoredRun("a", 9, map[string]string{"team": "x"})...)
	clitest.Publish(t, b, scoredRun("b", 2, map[string]string{"team": "y", "env": "prod"})...)
	missed := scoredRun("c", 1, nil)
	end := missed[4].(events.PipelineCompleted)
	end.Gates = []events.Gate{{Metric: "rouge_score", AtLeast: 0.9, Score: 0.75}}
	missed[4] = end
	clitest.Publish(t, b, missed...)
	clitest.Publish(t, b, scoredRun("d", 0, nil)[:3]...)
	clitest.PublishProgress(t, b, events.Progress{RunID: "d", Phase: events.Evaluation, Attempt: 1, Step: 30, Total: 40})
	steering := scoredRun("e", 0, map[string]string{"k": "\x1b[2J"})[:1]
	accepted := steering[0].(events.PipelineAccepted)
	accepted.RunName = "red\x1b[31m\nname"
	steering[0] = accepted
	clitest.Publish(t, b, steering...)
}

// lineOf is the line of a run in a text.
func lineOf(text, run string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, run+" ") {
			return line
		}
	}
	return ""
}

// TestRuns: the list says when, how long, what each run does, its score, model and
// labels, with or without lines of the tracker, and its filters hold.
func TestRuns(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	publishRuns(t, b)
	for _, lines := range []bool{false, true} {
		if lines {
			for done, index := false, runindex.New(b); !done; {
				var err error
				if done, err = index.Update(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkRuns(t, fmt.Sprintf("with lines: %v: ", lines), "--server", server.URL())
	}
	if status, _, screen := clitest.Run(t, "runs", "--status", "done", "--server", server.URL()); status != int(exit.CodeInput) || !strings.Contains(screen, "partial") {
		t.Errorf("an unknown status: status %d, %s", status, screen)
	}
}

func checkRuns(t *testing.T, what string, on ...string) {
	t.Helper()
	list := func(args ...string) (out string, ids []string) {
		t.Helper()
		status, out, screen := clitest.Run(t, slices.Concat([]string{"runs"}, args, on)...)
		if status != 0 {
			t.Fatalf("%s%v: status %d\n%s", what, args, status, screen)
		}
		for line := range strings.Lines(out) {
			if id, _, _ := strings.Cut(line, " "); len(id) == 1 {
				ids = append(ids, id)
			}
		}
		return out, ids
	}
	out, ids := list()
	if got := strings.Join(ids, ""); got != "edcba" {
		t.Errorf("%sthe order is %s\n%s", what, got, out)
	}
	for run, parts := range map[string][]string{
		"a": {"1m00s", "success", "rouge_score 0.750", "tiny", "name-of-a", "team=x"},
		"c": {"partial"},
		"d": {"evaluation "},
		"e": {"queued", `red\u001b[31m name`, `k=\u001b[2J`},
	} {
		for _, part := range parts {
			if !strings.Contains(lineOf(out, run), part) {
				t.Errorf("%sthe line of %s lacks %q: %s", what, run, part, lineOf(out, run))
			}
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("%sa control character reaches the terminal: %q", what, out)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--limit", "2"}, "ed"},
		{[]string{"--status", "open"}, "ed"},
		{[]string{"--status", "partial", "--status", "running", "--status", "stopped"}, "dc"},
		{[]string{"--status", "success"}, "ba"},
		{[]string{"--label", "team"}, "ba"},
		{[]string{"--label", "team=y", "--label", "env=prod"}, "b"},
		{[]string{"--label", "team=z"}, ""},
		{[]string{"--since", "5d", "--status", "success"}, "b"},
	} {
		if _, ids := list(c.args...); strings.Join(ids, "") != c.want {
			t.Errorf("%s%v lists %v, want %s", what, c.args, ids, c.want)
		}
	}
	var rows []struct {
		RunID       string                `json:"run_id"`
		Status      string                `json:"status"`
		Conclusion  string                `json:"conclusion"`
		RequestedAt time.Time             `json:"requested_at"`
		EndedAt     time.Time             `json:"ended_at"`
		Duration    float64               `json:"duration_seconds"`
		Elapsed     float64               `json:"elapsed_seconds"`
		Percent     *int                  `json:"percent"`
		Model       string                `json:"base_model"`
		MainScore   struct{ Name string } `json:"main_score"`
		Scores      map[string]float64
		Labels      map[string]string
	}
	clitest.Result(t, &rows, append([]string{"runs"}, on...)...)
	if len(rows) != 5 || rows[4].RequestedAt.IsZero() || rows[4].EndedAt.IsZero() || rows[4].Duration != 60 || rows[4].Scores["rouge_score"] != 0.75 ||
		rows[4].Labels["team"] != "x" || rows[4].MainScore.Name != "rouge_score" || rows[4].Model != "models/tiny" {
		t.Errorf("%sJSON: %+v", what, rows)
	} else if rows[2].Status != "partial" || rows[2].Conclusion != "success" {
		t.Errorf("%sJSON of a partial run: %+v", what, rows[2])
	} else if rows[1].Percent == nil || *rows[1].Percent != 75 || rows[1].Elapsed <= 0 {
		t.Errorf("%sJSON of a running run: %+v", what, rows[1])
	}
}

// TestRunsOfAFolder: what a folder has of an open run is how long it took until its
// last fact, since nobody works on it; it is not watched for the same reason.
func TestRunsOfAFolder(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	status, out, screen := clitest.Run(t, "runs", "--data", f.Dir, "--json")
	if status == 0 {
		t.Errorf("a folder without streams: %s%s", out, screen)
	}
	f.WithServer(t, func(*conn.Conn) {})
	if status, out, screen := clitest.Run(t, "runs", "--data", f.Dir, "--json"); status != 0 || out != "[]\n" {
		t.Errorf("an empty folder: status %d, %q, %s", status, out, screen)
	}
	f.WithServer(t, func(b *conn.Conn) { publishRuns(t, b) })
	checkRuns(t, "a folder: ", "--data", f.Dir)
	if status, out, screen := clitest.Run(t, "runs", "--data", f.Dir); status != 0 || !strings.Contains(out, "evaluation stopped, 75%") {
		t.Errorf("nobody works on the folder: status %d\n%s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, "runs", "--watch", "--data", f.Dir); status != int(exit.CodeInput) || !strings.Contains(screen, "tunebus up --data ") {
		t.Errorf("--watch: status %d, %s", status, screen)
	}
}
