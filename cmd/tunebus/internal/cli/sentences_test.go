package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestOnlySentencesAreCompleted: the program completes the commands that it names
// itself, with the name by which it was called and the flags that say where it works.
// A person's texts stay as they are, also where they name a command.
func TestOnlySentencesAreCompleted(t *testing.T) {
	t.Parallel()
	const own = `"tunebus show r1"`
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"r1", "r2"} {
			facts := clitest.EndedRun(run)
			accepted, _ := facts[0].(events.PipelineAccepted)
			accepted.RunName, accepted.Labels = own, map[string]string{"say": own + run}
			accepted.Specification.MLflow.RunName = own + run
			facts[0] = accepted
			clitest.Publish(t, b, facts...)
		}
		clitest.Publish(t, b, clitest.EndedRun("open")[:2]...)
	})
	row := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(row, []byte(`{"prompt": "how?", "completion": "say=\"tunebus show r1\" \"tunebus run FILE\""}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--data", folder.Dir}
	call := func(args ...string) string {
		var out, screen bytes.Buffer
		cli.Process{Program: "./bin/tunebus", In: strings.NewReader(""), Out: &out, Screen: &screen}.Main(t.Context(), args)
		return out.String() + screen.String()
	}
	for _, args := range [][]string{
		append([]string{"runs"}, at...),
		append([]string{"show", "r1"}, at...),
		append([]string{"compare", "r1", "r2"}, at...),
		{"data", "preview", row},
	} {
		if got := call(args...); !strings.Contains(got, own) || strings.Contains(got, `"./bin/tunebus show r1`) || strings.Contains(got, `"./bin/tunebus run`) {
			t.Errorf("%v: want %s as it is, got\n%s", args, own, got)
		}
	}
	for want, args := range map[string][]string{
		`"./bin/tunebus cancel open --data ` + folder.Dir + `"`: append([]string{"delete", "open", "--yes"}, at...),
		`"./bin/tunebus runs --data ` + folder.Dir + `"`:        append([]string{"show", "nosuch"}, at...),
		`"./bin/tunebus config doc"`:                            {"config", "doc", "nonsense"},
		`experiment_name = "tunebus"`:                           {"config", "doc", "mlflow"},
	} {
		if got := call(args...); !strings.Contains(got, want) {
			t.Errorf("%v: want %s, got\n%s", args, want, got)
		}
	}
}
