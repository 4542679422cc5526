package dlqcmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// letterRow is a line of "dlq list --json".
type letterRow struct {
	Letter   uint64 `json:"letter"`
	Consumer string `json:"consumer"`
	Subject  string `json:"subject"`
	Run      string `json:"run"`
	Reason   string `json:"reason"`
	Sequence uint64 `json:"sequence"`
}

// dlq runs a command on dead letters.
func dlq(t *testing.T, services clitest.Services, args ...string) (status int, out, screen string) {
	t.Helper()
	return clitest.Run(t, append([]string{"dlq"}, append(args, "--server", services.URL)...)...)
}

// waitForLetters waits until the list has n rows.
func waitForLetters(t *testing.T, services clitest.Services, n int, args ...string) []letterRow {
	t.Helper()
	var rows []letterRow
	clitest.Eventually(t, fmt.Sprintf("%d dead letters", n), func() bool {
		status, out, screen := dlq(t, services, append([]string{"list", "--json"}, args...)...)
		if status != 0 {
			t.Fatalf("status %d\n%s", status, screen)
		}
		rows = nil
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return len(rows) == n
	})
	return rows
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

// TestDeadLetters: what the services of a whole program give up is listed,
// shown, redriven and discarded.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	if status, out, _ := dlq(t, services, "list"); status != 0 || out != "no dead letters\n" {
		t.Errorf("status %d\n%s", status, out)
	}
	if _, out, _ := clitest.Run(t, "doctor", "--server", services.URL); !strings.Contains(out, "dead letters") || !strings.Contains(out, "none") {
		t.Errorf("doctor:\n%s", out)
	}
	publishRaw(t, services, events.TypePipelineRequested, "\x1b[31m{\"run_id\": 7, \x00", nats.Header{"Authorization": {"Bearer hush"}, "X-Own": {"kept"}})
	job := events.PhaseRequested{RunID: "nobodys", Phase: events.Finetune, Queue: "builtin"}
	publishRaw(t, services, job.Subject(), "junk", nil)
	rows := waitForLetters(t, services, 2)
	for begun, want := range map[string][]uint64{"": {rows[1].Letter, rows[0].Letter}, fmt.Sprint(rows[0].Letter): {rows[0].Letter}, "9": nil} {
		status, proposed, screen := clitest.Run(t, "__complete", "dlq", "show", "--server", services.URL, begun)
		var got []uint64
		for line := range strings.Lines(proposed) {
			var n uint64
			if _, err := fmt.Sscanf(line, "%d\t", &n); err == nil {
				got = append(got, n)
			}
		}
		if status != 0 || !slices.Equal(got, want) {
			t.Errorf("%q proposes %v, want %v; status %d, %s", begun, got, want, status, screen)
		}
	}
	request, fact := rows[0], rows[1]
	if request.Consumer != topology.ConsumerIntake {
		request, fact = fact, request
	}
	if request.Subject != events.TypePipelineRequested || request.Run != "" || fact.Run != "nobodys" || fact.Consumer != "finetune_builtin" || !strings.Contains(fact.Reason, "not a structured CloudEvent") {
		t.Errorf("letters %+v", rows)
	}
	for what, args := range map[string][]string{
		"run": {"--run", "nobodys"}, "subject": {"--subject", "finetune.requested.*.>"}, "reason": {"--reason", "structured CloudEvent"},
	} {
		if got := waitForLetters(t, services, 1, args...); got[0].Letter != fact.Letter {
			t.Errorf("by its %s: %+v", what, got)
		}
	}
	waitForLetters(t, services, 0, "--run", "nobodys", "--reason", "panicked")
	if _, out, screen := clitest.Run(t, "runs", "--server", services.URL); !strings.Contains(screen, "2 dead letters: ") {
		t.Errorf("runs:\n%s%s", out, screen)
	}
	if _, out, _ := clitest.Run(t, "doctor", "--server", services.URL); !strings.Contains(out, `2; "tunebus dlq list --server `+services.URL+`" says why`) {
		t.Errorf("doctor:\n%s", out)
	}

	n := fmt.Sprint(request.Letter)
	status, out, _ := dlq(t, services, "show", n)
	if status != 0 || !strings.Contains(out, "given up by intake") || !strings.Contains(out, "header X-Own: kept") || strings.ContainsAny(out, "\x1b\x00") ||
		strings.Contains(out, "hush") || !strings.Contains(out, `\u001b[31m{"run_id": 7`) {
		t.Errorf("show: status %d\n%q", status, out)
	}
	if status, out, _ := dlq(t, services, "show", n, "--json"); status != 0 || strings.Contains(out, "hush") || !strings.Contains(out, `"body": "\u001b[31m{\"run_id\": 7, \u0000"`) {
		t.Errorf("show --json: status %d\n%s", status, out)
	}

	status, out, screen := dlq(t, services, "retry", n)
	if status != 0 || !strings.Contains(out, "letter "+n+" redriven as message 2 of TUNEBUS_REQUESTS, on pipeline.requested") {
		t.Errorf("retry: status %d\n%s%s", status, out, screen)
	}
	again := waitForLetters(t, services, 1, "--subject", events.TypePipelineRequested)[0] // it is as broken as before
	if again.Letter == request.Letter || again.Sequence != 2 {
		t.Errorf("given up again: %+v", again)
	}
	status, out, screen = dlq(t, services, "retry", "--all", "--run", "nobodys", "--json")
	if status != 1 || !strings.Contains(out, "never accepted") || !strings.Contains(screen, "can only be discarded") {
		t.Errorf("a run that is not there: status %d\n%s%s", status, out, screen)
	}

	for says, args := range map[string][]string{
		"there is no dead letter 999":                {"show", "999"},
		"there is no dead letter " + n:               {"retry", fmt.Sprint(fact.Letter), n},
		`"x" is no number of a letter`:               {"retry", "x"},
		"exclude each other":                         {"discard", "--all", "1"},
		"want numbers of letters":                    {"retry"},
		"choose among --all":                         {"discard", "--run", "nobodys", "1"},
		"Nobody can be asked here; --force does it ": {"discard", "--all"},
		"want one of list, show, retry, discard":     {"burn"},
	} {
		if status, out, screen := dlq(t, services, args...); status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d, want 2 and %q\n%s%s", args, status, says, out, screen)
		}
	}
	waitForLetters(t, services, 2)
	if status, out, screen := dlq(t, services, "discard", "--force", fmt.Sprint(again.Letter), "--json"); status != 0 || strings.Join(strings.Fields(out), "") != fmt.Sprintf("[%d]", again.Letter) {
		t.Errorf("discard: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := dlq(t, services, "discard", "--force", "--all"); status != 0 || out != "1 dead letter discarded\n" {
		t.Errorf("discard the rest: status %d\n%s%s", status, out, screen)
	}
	waitForLetters(t, services, 0)
}

// TestJobGivenUpEndsItsRun: a worker gives up a job that it does not understand.
// The run ends as a failure with that reason; the letter cannot be redriven any
// more, and a rerun repeats the run.
func TestJobGivenUpEndsItsRun(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	work := func(handle delivery.Handler) (stop func()) {
		r, err := delivery.NewRouter(services.Bus, deadletter.New(services.Bus), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r.Add(delivery.Route{Name: "trl", Stream: events.StreamFacts, Consumer: topology.JobConsumer(events.Finetune, "trl"), NakDelay: time.Millisecond, Handle: handle})
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	stop := work(func(context.Context, delivery.Delivery) error { panic("an old worker's slip") })
	status, out, screen := clitest.Run(t, "submit", "--server", services.URL, "--artifacts", services.Artifacts(),
		"--config", filepath.Join(services.Dir, "small.toml"), "--set", "fine_tuner.engine=trl", "--stop-after-finetuning", "--run-id", "stuck")
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	row := waitForLetters(t, services, 1, "--run", "stuck")[0]
	stop()
	if row.Consumer != "finetune_trl" || !strings.Contains(row.Reason, "panicked 5 times: an old worker's slip") {
		t.Errorf("letter %+v", row)
	}
	if status, out, screen := clitest.Run(t, "watch", "stuck", "--server", services.URL); status != 3 || !strings.Contains(out, "failure") ||
		!strings.Contains(out+screen, fmt.Sprintf("the job became dead letter %d", row.Letter)) || !strings.Contains(out+screen, "an old worker's slip") {
		t.Errorf("watch: status %d\n%s%s", status, out, screen)
	}
	run, err := history.New(services.Bus).Run(t.Context(), "stuck")
	if err != nil || run.Completed == nil || run.Phases[events.Finetune].Completed.Error.Code != "dead_letter" {
		t.Errorf("the run is %+v, %v", run, err)
	}
	if status, out, screen := dlq(t, services, "retry", fmt.Sprint(row.Letter)); status != 1 || !strings.Contains(screen, `"tunebus rerun stuck --from finetune --server `+services.URL+`" repeats it`) {
		t.Errorf("retry: status %d\n%s%s", status, out, screen)
	}
	waitForLetters(t, services, 1)
	status, out, screen = clitest.Run(t, "rerun", "stuck", "--from", "finetune", "--server", services.URL, "--artifacts", services.Artifacts(),
		"--set", "fine_tuner.engine=builtin", "--wait")
	if status != 0 {
		t.Errorf("rerun: status %d\n%s%s", status, out, screen)
	}
}
