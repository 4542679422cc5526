package logcmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// publishLines stores lines of an attempt and waits until they are stored.
func publishLines(t *testing.T, b *conn.Conn, run string, first int64, texts ...string) {
	t.Helper()
	ev := events.Log{RunID: run, Phase: events.Inference, Attempt: 1, First: first}
	for _, text := range texts {
		ev.Lines = append(ev.Lines, events.LogLine{Time: time.Now(), Level: "warning", Text: text})
	}
	if err := journal.New(b).PublishMetric(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	clitest.Eventually(t, "the lines are stored", func() bool {
		found := false
		err := history.NewLogReader(b, run, "").Read(t.Context(), func(l events.Log, _ time.Time) error {
			found = found || l.First == first
			return nil
		})
		return err == nil && found
	})
}

// TestLogs: the lines of an attempt stand between the facts of its start and its end,
// in a folder and of an archived run as well; missing lines are told.
func TestLogs(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		facts := clitest.EndedRun("r")
		clitest.Publish(t, b, facts[:3]...)
		publishLines(t, b, "r", 1, "the first", "red\x1b[31m")
		publishLines(t, b, "r", 7, "the seventh")
		publishLines(t, b, "other", 1, "of another run")
		clitest.Publish(t, b, facts[3:]...)
		clitest.Publish(t, b, clitest.EndedRun("waits")[:2]...)
	})
	status, out, screen := clitest.Run(t, "logs", "r", "--data", f.Dir)
	var got []string
	for line := range strings.Lines(out) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got = append(got, text)
	}
	want := []string{
		"inference 1   started by w",
		"inference 1   warning: the first",
		`inference 1   warning: red\u001b[31m`,
		"inference 1   warning: lines 3 to 6 are missing: there were too many at once, or the server keeps them no more",
		"inference 1   warning: the seventh",
		"inference 1   phase ended: success after 1m00s",
		"run           run ended: success after 1m00s",
	}
	if status != 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("status %d, %s, logs:\n%s\nwant:\n%s", status, screen, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	status, out, _ = clitest.Run(t, "logs", "r", "--data", f.Dir, "--phase", "inference", "--json", "--follow")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var second struct {
		Phase   string
		Attempt int
		Number  int64
		Level   string
		Text    string
	}
	if err := json.Unmarshal([]byte(lines[min(2, len(lines)-1)]), &second); status != 0 || err != nil || len(lines) != 6 || fmt.Sprint(second) != "{inference 1 2 warning red\x1b[31m}" {
		t.Errorf("--json: status %d, %v, %d lines, the third is %+v", status, err, len(lines), second)
	}
	if status, out, screen := clitest.Run(t, "logs", "waits", "--data", f.Dir); status != 0 || out != "" || !strings.Contains(screen, "no attempt has started") {
		t.Errorf("a queued run: status %d, %q, %s", status, out, screen)
	}
	for _, args := range [][]string{{"nobody"}, {"r", "--phase", "training"}, {"r", "--phase", "finetune"}, {}} {
		if status, _, screen := clitest.Run(t, append([]string{"logs", "--data", f.Dir}, args...)...); status != int(exit.CodeInput) || screen == "" {
			t.Errorf("logs %v: status %d, %s", args, status, screen)
		}
	}
}

// TestArchivedLogs: an archived run has no lines of its attempts, and that is said.
func TestArchivedLogs(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, append(clitest.EndedRun("r"), events.TrackingCompleted{RunID: "r"})...)
		publishLines(t, b, "r", 1, "the first")
	})
	const archived = "run r is archived"
	if status, out, screen := clitest.Run(t, "logs", "r", "--data", f.Dir); status != 0 || !strings.Contains(out, "the first") || strings.Contains(screen, archived) {
		t.Errorf("status %d, %s\n%s", status, screen, out)
	}
	if status, _, screen := clitest.Run(t, "archive", "--data", f.Dir, "--older-than", "0s"); status != 0 {
		t.Fatalf("archive: status %d, %s", status, screen)
	}
	if status, out, screen := clitest.Run(t, "logs", "r", "--data", f.Dir); status != 0 || strings.Contains(out, "the first") || !strings.Contains(out, "started by w") || !strings.Contains(screen, archived) {
		t.Errorf("status %d, %s\n%s", status, screen, out)
	}
}

// TestFollowNobody: a run that nobody works on has no log to follow, and "watch" ends so, too.
func TestFollowNobody(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("waits")[:2]...) })
	for _, verb := range [][]string{{"logs", "waits", "--follow"}, {"watch", "waits"}} {
		status, _, screen := clitest.Run(t, append(verb, "--data", f.Dir)...)
		if status != int(exit.CodeError) || !strings.Contains(screen, "no service works on") {
			t.Errorf("%v: status %d, %s", verb, status, screen)
		}
	}
}

// TestFollowLogs: lines are shown while the attempt works, until the run has ended.
func TestFollowLogs(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	facts := clitest.EndedRun("r")
	clitest.Publish(t, b, facts[:3]...)
	publishLines(t, b, "r", 1, "before")
	type result struct {
		status int
		out    string
	}
	ended := make(chan result, 1)
	go func() {
		status, out, _ := clitest.Run(t, "logs", "r", "--follow", "--artifacts", "file://"+t.TempDir(), "--server", server.URL())
		ended <- result{status, out}
	}()
	publishLines(t, b, "r", 2, "while it works")
	select {
	case r := <-ended:
		t.Fatalf("the log ended before the run: %+v", r)
	default:
	}
	clitest.Publish(t, b, facts[3:]...)
	if r := <-ended; r.status != 0 || !strings.Contains(r.out, "before") || !strings.Contains(r.out, "while it works") || !strings.HasSuffix(r.out, "run ended: success after 1m00s\n") {
		t.Errorf("status %d:\n%s", r.status, r.out)
	}
}

// TestInterruptedLogs: who ends a log that is followed is told how to follow it again.
func TestInterruptedLogs(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	facts := clitest.EndedRun("r")
	clitest.Publish(t, b, facts[:3]...)
	ctx, interrupt := context.WithCancel(t.Context())
	out, shown := io.Pipe()
	go func() { // Ctrl-C behind the first line
		_, _ = out.Read(make([]byte, 1))
		interrupt()
		_, _ = io.Copy(io.Discard, out)
	}()
	var screen bytes.Buffer
	args := []string{"logs", "r", "-f", "--phase", "inference", "--server", server.URL()}
	status := cli.Main(ctx, args, shown, &screen)
	_ = shown.Close() // of a pipe: never fails
	want := "tunebus logs r --follow --phase inference --server " + server.URL()
	if status != int(exit.CodeInterrupted) || !strings.Contains(screen.String(), want) {
		t.Errorf("status %d, want %q\n%s", status, want, screen.String())
	}
}
