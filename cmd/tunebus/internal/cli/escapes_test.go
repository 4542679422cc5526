package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// hostile is a text that clears a terminal, renames its window, moves its cursor,
// colours what follows, and reads backwards.
const hostile = "\x1b[2J\x1b]0;owned\x07\u009b31m\x9b31m\r\x08\x7f\u202eevil"

// hostileRun are the facts of a run with such texts wherever there is room for one.
func hostileRun(run string) []events.Event {
	facts := clitest.EndedRun(run)
	for i, fact := range facts {
		switch e := fact.(type) {
		case events.PipelineAccepted:
			e.RunName, e.Labels = hostile, map[string]string{hostile: hostile}
			e.Specification.FineTuner.BaseModelID = hostile
			e.Specification.MLflow.ExperimentName = hostile
			facts[i] = e
		case events.PhaseStarted:
			e.Worker = hostile
			facts[i] = e
		case events.PhaseCompleted:
			e.Conclusion, e.Error = events.Failure, &events.Problem{Code: hostile, Message: hostile}
			e.Notes = []string{hostile}
			facts[i] = e
		case events.PipelineCompleted:
			e.Conclusion = events.Failure
			e.Scores = map[string]float64{hostile: 1}
			facts[i] = e
		}
	}
	return append(facts, events.TrackingCompleted{RunID: run, Links: map[string]string{hostile: hostile}, Gaps: []string{hostile}})
}

// TestNothingSteersATerminal: whatever a verb is asked, and whatever runs are called
// and fail with, it writes no control character but the ends of lines and tabs.
func TestNothingSteersATerminal(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, hostileRun("r1")...)
		clitest.Publish(t, b, hostileRun("r2")...)
		clitest.Publish(t, b, events.PipelineRejected{RequestSequence: 7, RunID: "r3", Faults: []events.Fault{{Key: hostile, Value: hostile, Message: hostile}}})
	})
	dir := t.TempDir()
	clitest.Write(t, dir, "rows.jsonl", `{"question":"\u001b[2J\u009b31m","answer":"\u001b]0;owned\u0007\u202e"}`)
	clitest.Write(t, dir, "broken.toml", "[fine_tuner]\nbase_model_id = \"\\u001b[2J\\u009b31m\"\n\x1b]0;owned\x07")
	rows, broken := filepath.Join(dir, "rows.jsonl"), filepath.Join(dir, "broken.toml")
	strange := filepath.Join(dir, "\x1b[2J")
	if err := os.Mkdir(strange, 0o700); err != nil {
		t.Fatal(err)
	}
	at := []string{"--data", folder.Dir}
	// What each verb is asked, beside the hostile words that every one gets.
	asked := map[string][][]string{
		"run":             {{broken}, {"--config", broken}, {"--set", hostile}, {"--label", hostile}, {"--predictions", rows, "--data", strange + "/f", "--set", "evaluator.metrics=" + hostile}},
		"up":              {{"--config", broken}, {"--data", rows}},
		"submit":          {{broken}, {"--set", "a.b=" + hostile}},
		"watch":           {{"r1"}, {"last"}},
		"cancel":          {append([]string{"r1"}, at...)},
		"runs":            {at, append([]string{"--json"}, at...)},
		"show":            {append([]string{"r1"}, at...), append([]string{"r1", "--json"}, at...), append([]string{hostile}, at...)},
		"export":          {append([]string{"r1", strange}, at...)},
		"chat":            {append([]string{"r1"}, at...)},
		"rerun":           {append([]string{"r1", "--set", "mlflow.run_name=" + hostile}, at...)},
		"data preview":    {{rows, "--as", "training"}, {strange}, {rows, "--config", broken}},
		"config check":    {{broken}, {strange}},
		"config init":     {{strange}, {filepath.Join(dir, hostile)}},
		"archive":         {append([]string{"--older-than", "1s", "--dry-run"}, at...)},
		"gc":              {append([]string{"--dry-run"}, at...)},
		"replay tracking": {append([]string{"--run", "r1", "--reports", dir + "/reports", "--tracking-uri", "file:" + dir + "/mlruns"}, at...)},
		"replay requests": {{"--from-seq", "1"}},
		"help":            {{hostile}},
		"man":             {{rows + "/x" + hostile}},
	}
	for _, verb := range cli.Verbs() {
		words := strings.Fields(verb)
		first := hostile
		if verb == "config init" || verb == "man" { // which write there
			first = filepath.Join(dir, "new", hostile)
		}
		all := append([][]string{{first}, {"--" + hostile}, {"--settings", strange}, {"--server", hostile, hostile}, {hostile, hostile, hostile, hostile}}, asked[verb]...)
		delete(asked, verb)
		for _, args := range all {
			args = append(words[:len(words):len(words)], args...)
			status, out, screen := clitest.Run(t, args...)
			if at := strings.IndexFunc(out+screen, func(r rune) bool {
				return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e'
			}); at >= 0 || !utf8.ValidString(out+screen) {
				t.Errorf("%q writes a control character (status %d):\n%q", args, status, out+screen)
			}
		}
	}
	for verb := range asked {
		t.Errorf("there is no verb %s", verb)
	}
}

// TestBadInput: an unknown flag and too many words are bad input for every verb.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, verb := range cli.Verbs() {
		for _, args := range [][]string{{"--no-such-flag"}, {"no-such-thing", "b", "c", "d", "e"}} {
			if verb == "delete" && len(args) > 1 {
				continue // it takes as many runs as a person names
			}
			args = append(strings.Fields(verb), args...)
			if status, out, screen := clitest.Run(t, args...); status != 2 || out != "" || screen == "" {
				t.Errorf("%q: status %d\n%s%s", args, status, out, screen)
			}
		}
	}
}

// TestFaultsAsJSON: scripts read faults as JSON, a person beside them as text.
func TestFaultsAsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clitest.Write(t, dir, "a.toml", "[fine_tuner]\nepochs = -1\nnonsense = 1")
	file := filepath.Join(dir, "a.toml")
	for _, verb := range []string{"run", "submit", "config check"} {
		status, out, screen := clitest.Run(t, append(strings.Fields(verb), "--json", "--config", file)...)
		var got struct{ Faults []structconf.Fault }
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != 2 || len(got.Faults) < 2 || got.Faults[0].File != file || got.Faults[0].Line != 2 {
			t.Errorf("%s: status %d, %v, %+v\n%s", verb, status, err, got, out)
		}
		if !strings.Contains(screen, "fine_tuner.epochs") {
			t.Errorf("%s: the screen lacks the faults:\n%s", verb, screen)
		}
	}
}

// TestNoEffect: a flag that would be ignored is refused, and named.
func TestNoEffect(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r1")...) })
	for _, args := range []string{
		"man dir --json", "help run --verbose", "completion bash --json", "config doc --server nats://127.0.0.1:1",
		"show r1 --data DATA --server nats://127.0.0.1:1", "runs --data DATA --context x",
		"rerun r1 --data DATA --wait", "rerun r1 --data DATA --timeout 1s", "rerun r1 --data DATA --artifacts file:///x",
	} {
		status, _, screen := clitest.Run(t, strings.Fields(strings.ReplaceAll(args, "DATA", folder.Dir))...)
		if status != 2 || !strings.Contains(screen, " has no effect") {
			t.Errorf("%s: status %d\n%s", args, status, screen)
		}
	}
}
