package cli_test

import (
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
		"config init":     {{strange}},
		"archive":         {append([]string{"--older-than", "1s", "--dry-run"}, at...)},
		"gc":              {append([]string{"--dry-run"}, at...)},
		"replay tracking": {append([]string{"--run", "r1", "--reports", dir + "/reports", "--tracking-uri", "file:" + dir + "/mlruns"}, at...)},
		"replay requests": {{"--from-seq", "1"}},
		"help":            {{hostile}},
		"man":             {{rows + "/x" + hostile}},
	}
	for _, verb := range cli.Verbs() {
		words := strings.Fields(verb)
		all := append([][]string{{hostile}, {"--" + hostile}, {"--settings", strange}, {"--server", hostile, hostile}, {hostile, hostile, hostile, hostile}}, asked[verb]...)
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
