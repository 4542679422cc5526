package repeatcmd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
)

// replayedRow is a line of "replay requests --json".
type replayedRow struct {
	Request uint64 `json:"request"`
	OldRun  string `json:"old_run"`
	RunID   string `json:"run_id"`
}

// replayRequests submits past requests again.
func replayRequests(t *testing.T, services clitest.Services, args ...string) (status int, rows []replayedRow, screen string) {
	t.Helper()
	status, out, screen := clitest.Run(t, append([]string{"replay", "requests", "--json", "--server", services.URL, "--artifacts", services.Artifacts()}, args...)...)
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `{"faults":`) {
			continue // the screen has them, too
		}
		var row replayedRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rows = append(rows, row)
	}
	return status, rows, screen
}

// of are the requests of rows.
func of(rows []replayedRow) string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.Request))
	}
	return strings.Join(out, " ")
}

// accepted waits until intake has admitted a run.
func accepted(t *testing.T, services clitest.Services, id string) events.PipelineAccepted {
	t.Helper()
	var m codec.Message
	clitest.Eventually(t, "run "+id, func() bool {
		var err error
		m, err = history.New(services.Bus).Latest(t.Context(), events.PipelineAccepted{RunID: id}.Subject())
		return err == nil
	})
	return m.Event.(events.PipelineAccepted)
}

// publishRaw stores a message as any NATS client would.
func publishRaw(t *testing.T, services clitest.Services, subject, body string, header nats.Header) {
	t.Helper()
	nc, err := nats.Connect(services.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer, err := nc.RequestMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: header}, 10*time.Second)
	if err != nil || strings.Contains(string(answer.Data), `"error"`) {
		t.Fatalf("%v %s", err, answer.Data)
	}
}

// TestReplayRequests: past requests make new runs, with the changes over
// them; what is no good is left out and named, and nothing is submitted that
// this command submitted itself.
func TestReplayRequests(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	answers := filepath.Join(services.Dir, "answers.jsonl")
	evaluate := []string{"--skip-finetuning", "--skip-inference", "--predictions", answers}
	if _, rows, screen := replayRequests(t, services, "--from-seq", "1"); len(rows) > 0 || !strings.Contains(screen, "there are no requests") {
		t.Errorf("on an empty stream: %v\n%s", rows, screen)
	}
	submit := func(args ...string) {
		t.Helper()
		if status, _, screen := services.Submit(t, nil, append(evaluate, args...)...); status != 0 {
			t.Fatalf("status %d\n%s", status, screen)
		}
	}
	submit("--run-id", "one", "--label", "team=blue", "--label", "kind=nightly")                                                                                          // request 1
	submit("--run-id", "two", "--label", "team=red")                                                                                                                      // 2
	publishRaw(t, services, events.TypePipelineRequested, `{"run_id": `, nil)                                                                                             // 3
	publishRaw(t, services, events.TypePipelineRequested, `{"run_id": "one", "labels": {"team": "blue"}, "specification": {}}`, nil)                                      // 4, rejected
	publishRaw(t, services, events.TypePipelineRequested, `{"specificaton": {}}`, nil)                                                                                    // 5, rejected
	publishRaw(t, services, events.TypePipelineRequested, `{"rerun_of": "two", "labels": {"team": "green"}, "specification": {"evaluator": {"metrics": ["chrf"]}}}`, nil) // 6
	clitest.Eventually(t, "the last request", func() bool {
		ids, err := runlister.New(services.Bus).Accepted(t.Context())
		return err == nil && len(ids) == 3
	})
	between := time.Now()

	status, rows, screen := replayRequests(t, services, "--from-seq", "1", "--dry-run")
	if status != 0 || of(rows) != "1 2 6" || rows[0].OldRun != "one" || rows[0].RunID != "" || !strings.Contains(screen, "3 requests would be submitted again, 3 left out") {
		t.Errorf("dry run: status %d, %+v\n%s", status, rows, screen)
	}
	for _, want := range []string{"request 3 is left out: it cannot be read", "request 4 is left out: it was rejected; --rejected", `request 5 is left out: its key "specificaton" is unknown`} {
		if !strings.Contains(screen, want) {
			t.Errorf("not said: %s\n%s", want, screen)
		}
	}
	if n, err := requestlog.New(services.Bus).Latest(t.Context()); err != nil || n != 6 {
		t.Errorf("a dry run submitted something: %d requests, %v", n, err)
	}

	status, rows, screen = replayRequests(t, services, "--from-seq", "1")
	if status != 0 || of(rows) != "1 2 6" || !strings.Contains(screen, "3 requests submitted again, 3 left out") {
		t.Errorf("status %d, %+v\n%s", status, rows, screen)
	}
	for _, row := range rows {
		a := accepted(t, services, row.RunID)
		if a.Lineage.ReplayOf != row.Request || a.RunID == row.OldRun || a.Labels["team"] == "" {
			t.Errorf("%+v became %+v, labels %v", row, a.Lineage, a.Labels)
		}
	}
	if a := accepted(t, services, rows[2].RunID); a.Lineage.RerunOf != "two" || !slices.Equal(a.Specification.Evaluator.Metrics, []string{"chrf"}) {
		t.Errorf("a request for a repetition became %+v", a)
	}
	if status, out, screen := clitest.Run(t, "watch", rows[0].RunID, "--server", services.URL); status != 0 || !strings.Contains(out, "success") {
		t.Errorf("watch: status %d\n%s%s", status, out, screen)
	}

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"replays are no requests of their own": {[]string{"--since", between.UTC().Format(time.RFC3339Nano)}, ""},
		"unless asked for":                     {[]string{"--since", between.UTC().Format(time.RFC3339Nano), "--replayed"}, "7 8 9"},
		"the last two hours":                   {[]string{"--since", "2h"}, "1 2 6"},
		"up to a time":                         {[]string{"--since", "2h", "--until", "1h"}, ""},
		"up to a number":                       {[]string{"--from-seq", "2", "--to-seq", "5"}, "2"},
		"a label":                              {[]string{"--from-seq", "1", "--filter", "label=kind"}, "1"},
		"a label's value":                      {[]string{"--from-seq", "1", "--filter", "label=team=red"}, "2"},
		"labels together":                      {[]string{"--from-seq", "1", "--filter", "label=team=blue", "--filter", "label=kind=other"}, ""},
		"rejected ones":                        {[]string{"--from-seq", "1", "--rejected", "--filter", "label=team=blue"}, "1 4"},
	} {
		if status, rows, screen := replayRequests(t, services, append(c.args, "--dry-run")...); status != 0 || of(rows) != c.want {
			t.Errorf("%s: status %d, requests %s, want %s\n%s", name, status, of(rows), c.want, screen)
		}
	}

	last, err := requestlog.New(services.Bus).Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"want --since or --from-seq":                                          {},
		"want --since or --from-seq: where":                                   {"--since", "1h", "--from-seq", "1"},
		"--since yesterday: want a time such as":                              {"--since", "yesterday"},
		"--until 5: want a time":                                              {"--from-seq", "1", "--until", "5"},
		"--filter team=blue: want label=NAME":                                 {"--from-seq", "1", "--filter", "team=blue"},
		`did you mean "rank"?`:                                                {"--from-seq", "1", "--set", "fine_tuner.rnk=1", "--set", "evaluator.nope=1"},
		"evaluator.metrics = nope: unknown metric, in request 1 and 1 more (": {"--from-seq", "1", "--set", `evaluator.metrics=["nope"]`},
		"nothing was submitted, since the changes do not fit":                 {"--from-seq", "1", "--set", "fine_tuner.epochs=0", "--set", "pipeline.max_tries=0"},
		"inferencer.testing_data_id = none.jsonl: no such file or folder":     {"--from-seq", "1", "--set", "inferencer.testing_data_id=none.jsonl"},
	} {
		if status, rows, screen := replayRequests(t, services, args...); status != 2 || len(rows) > 0 || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d, want 2 and %q\n%s", args, status, says, screen)
		}
	}
	if n, err := requestlog.New(services.Bus).Latest(t.Context()); err != nil || n != last {
		t.Errorf("%d requests, want %d (%v)", n, last, err)
	}

	data := filepath.Join(services.Dir, "rows.jsonl")
	status, rows, screen = replayRequests(t, services, "--from-seq", "1", "--to-seq", "2", "--set", "evaluator.metrics=[\"chrf\"]", "--set", "inferencer.testing_data_id="+data)
	if status != 0 || of(rows) != "1 2" {
		t.Fatalf("status %d, %+v\n%s", status, rows, screen)
	}
	first, second := accepted(t, services, rows[0].RunID), accepted(t, services, rows[1].RunID)
	ref := first.Inputs.Files["inferencer.testing_data_id"]
	if !slices.Equal(first.Specification.Evaluator.Metrics, []string{"chrf"}) || first.Inputs.Predictions == nil || ref.Key == "" || ref != second.Inputs.Files["inferencer.testing_data_id"] {
		t.Errorf("with changes: %+v", first)
	}
}
