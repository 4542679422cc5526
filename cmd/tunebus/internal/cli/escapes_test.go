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
const hostile = "\x1b[2J\x1b]0;owned\x07\u009b31m\x9b31m\r\x08\x7f\u202e\u200f\u2066\ufeff\u00ad\u2028\U000e0041evil"

// forging is hostile, and writes a line of its own.
const forging = hostile + "\nforged line"

// hostileRun are the facts of a run with such texts wherever there is room for one.
func hostileRun(run string) []events.Event {
	facts := clitest.EndedRun(run)
	for i, fact := range facts {
		switch e := fact.(type) {
		case events.PipelineAccepted:
			e.RunName, e.Labels = forging, map[string]string{forging: forging}
			e.Specification.FineTuner.BaseModelID = forging
			e.Specification.MLflow.ExperimentName = forging
			facts[i] = e
		case events.PhaseStarted:
			e.Worker = forging
			facts[i] = e
		case events.PhaseCompleted:
			e.Conclusion, e.Error = events.Failure, &events.Problem{Code: forging, Message: hostile}
			e.Notes = []string{hostile}
			facts[i] = e
		case events.PipelineCompleted:
			e.Conclusion = events.Failure
			e.Scores = map[string]float64{forging: 1}
			facts[i] = e
		}
	}
	return append(facts, events.TrackingCompleted{RunID: run, Links: map[string]string{forging: forging}, Gaps: []string{hostile}})
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
		"serve":           {append([]string{"r1", "--listen", "127.0.0.1:0"}, at...), {strange, "--listen", "127.0.0.1:0"}, {"r1", "--listen", hostile}},
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
			if strings.ContainsFunc(out+screen, steers) || !utf8.ValidString(out+screen) {
				t.Errorf("%q writes a control character (status %d):\n%q", args, status, out+screen)
			}
			if strings.Contains("\n"+out+"\n"+screen, "\nforged") {
				t.Errorf("%q: a name writes a line of its own (status %d):\n%s", args, status, out+screen)
			}
		}
	}
	for verb := range asked {
		t.Errorf("there is no verb %s", verb)
	}
}

// steers reports whether a character could steer a terminal or mislead whoever reads.
func steers(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// TestBadInput: an unknown flag and too many words are bad input for every verb.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, verb := range cli.Verbs() {
		for _, args := range [][]string{{"--no-such-flag"}, {"no-such-thing", "b", "c", "d", "e"}} {
			if (verb == "delete" || verb == "serve") && len(args) > 1 {
				continue // they take as many runs as a person names
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
		var got struct {
			Faults []structconf.Fault
			Status int `json:"exit_status"`
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != 2 || got.Status != 2 || len(got.Faults) < 2 || got.Faults[0].File != file || got.Faults[0].Line != 2 {
			t.Errorf("%s: status %d, %v, %+v\n%s", verb, status, err, got, out)
		}
		if !strings.Contains(screen, "fine_tuner.epochs") {
			t.Errorf("%s: the screen lacks the faults:\n%s", verb, screen)
		}
	}
}

// TestFailuresAsJSON: with --json every verb ends without a result in one line of
// JSON, whatever is wrong, and the line has the exit status.
func TestFailuresAsJSON(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.toml")
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r1")...) })
	unreachable := []string{"--json", "--server", "nats://127.0.0.1:1"}
	// What each verb wants of a run that nobody knows, or without a server.
	asked := map[string][][]string{
		"show": {{"nobody", "--json", "--data", folder.Dir}, append(unreachable, "r1")}, "logs": {{"nobody", "--json", "--data", folder.Dir}, append(unreachable, "r1")},
		"export": {{"nobody", "d", "--json", "--data", folder.Dir}}, "chat": {{"nobody", "--json", "--data", folder.Dir}},
		"serve":   {{"nobody", "--json", "--data", folder.Dir, "--listen", "127.0.0.1:0"}},
		"compare": {{"r1", "nobody", "--json", "--data", folder.Dir}}, "delete": {{"nobody", "--json", "--yes", "--data", folder.Dir}},
		"rerun": {{"nobody", "--json", "--data", folder.Dir}}, "cancel": {{"nobody", "--json", "--data", folder.Dir}},
		"runs": {unreachable, {"--json", "--data", missing}}, "gc": {unreachable}, "dlq list": {unreachable}, "archive": {append(unreachable, "--older-than", "1d")},
		"run": {{missing, "--json"}}, "submit": {{missing, "--json"}}, "config check": {{missing, "--json"}}, "config doc": {{"no.key", "--json"}},
		"data preview": {{missing, "--json"}}, "setup": {unreachable}, "watch": {append(unreachable, "r1", "--timeout", "1s")},
	}
	for _, verb := range cli.Verbs() {
		all := append([][]string{
			{"--json", "--no-such-flag"}, {"--no-such-flag", "--json"}, {"--json", "no-such-thing", "b", "c", "d", "e", "--no-such-flag"}, {"--json", "--settings", missing, "--settings"},
		}, asked[verb]...)
		delete(asked, verb)
		for _, args := range all {
			args = append(strings.Fields(verb), args...)
			status, out, screen := clitest.Run(t, args...)
			var got struct {
				Faults []struct{ Message string }
				Status int `json:"exit_status"`
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil || status == 0 || got.Status != status || len(got.Faults) == 0 || strings.Count(out, "\n") != 1 {
				t.Errorf("%q: status %d, %v\n%s", args, status, err, out)
				continue
			}
			if !strings.Contains(screen, got.Faults[0].Message) {
				t.Errorf("%q: the screen says something else than %q:\n%s", args, got.Faults[0].Message, screen)
			}
		}
	}
	for verb := range asked {
		t.Errorf("there is no verb %s", verb)
	}
}

// TestWordsOfFlags: what is wrong with a flag is said in words of the person.
func TestWordsOfFlags(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r1")...) })
	for args, want := range map[string]string{
		"runs --limit x":                       `--limit "x": want a whole number`,
		"runs --limit 99999999999999999999":    `--limit "99999999999999999999": the number is too large`,
		"runs --json=x":                        `--json "x": want true or false`,
		"watch r1 --timeout soon":              `--timeout "soon": want a time such as 90s, 10m or 2h`,
		"chat r1 --temperature hot":            `--temperature "hot": want a number`,
		"archive --older-than soon":            `--older-than "soon": want a span of time such as 90d, 36h or 1d12h`,
		"runs --frob":                          `--frob is no flag of tunebus runs; "tunebus runs --help" lists its flags`,
		"runs --limt 3":                        `--limt is no flag of tunebus runs; did you mean --limit?`,
		"runs -x":                              `-x is no flag of tunebus runs; "tunebus runs --help" lists its flags`,
		"runs --limit":                         `--limit: a value is missing behind it`,
		"runs --=3":                            `--=3: a flag is --NAME or --NAME=VALUE; what begins with "-" and is no flag stands behind "--"`,
		"completion nonsense":                  ``,
		"logs r1 --phase nonsense --data DATA": `--phase nonsense: no such phase; want one of finetune, inference, evaluation`,
	} {
		status, _, screen := clitest.Run(t, strings.Fields(strings.ReplaceAll(args, "DATA", folder.Dir))...)
		if status != 2 || !strings.Contains(screen, want) || strings.Contains(screen, "strconv") {
			t.Errorf("%s: status %d\n%s", args, status, screen)
		}
	}
}

// TestNoEffect: a flag that would be ignored is refused, and named.
func TestNoEffect(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r1")...) })
	for _, args := range []string{
		"--json", "man dir --json", "help run --verbose", "completion bash --json", "config doc --server nats://127.0.0.1:1",
		"show r1 --data DATA --server nats://127.0.0.1:1", "runs --data DATA --context x",
		"rerun r1 --data DATA --wait", "rerun r1 --data DATA --timeout 1s", "rerun r1 --data DATA --artifacts file:///x",
	} {
		status, _, screen := clitest.Run(t, strings.Fields(strings.ReplaceAll(args, "DATA", folder.Dir))...)
		if status != 2 || !strings.Contains(screen, " has no effect") {
			t.Errorf("%s: status %d\n%s", args, status, screen)
		}
	}
}
