package runcmd_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// killedAtEnd is a data folder whose process was killed behind the last fact of a run, while its
// tracker began to write it.
func killedAtEnd(t *testing.T, run string) (data string) {
	t.Helper()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun(run)...)
		leases, err := b.Bucket(t.Context(), topology.BucketLeases)
		if err == nil {
			_, err = leases.Create(t.Context(), "track."+run, []byte("services killed"))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return folder.Dir
}

// checkFinished looks whether a run has its reports, its line, and an MLflow run that ended.
func checkFinished(t *testing.T, reports, mlruns, run, status string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(reports, run, "config.toml")); err != nil {
		t.Error(err)
	}
	list, err := os.ReadFile(filepath.Join(reports, "runs.txt"))
	if err != nil || !strings.Contains(string(list), run) || strings.Contains(string(list), "running") {
		t.Errorf("the list of runs: %v\n%s", err, list)
	}
	found := 0
	files, err := filepath.Glob(filepath.Join(mlruns, "*", "*", "meta.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		meta, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name, err := os.ReadFile(filepath.Join(filepath.Dir(file), "tags", "tunebus.run_id")); err != nil || string(name) != run {
			continue
		}
		found++
		if !strings.Contains(string(meta), "status: "+status) {
			t.Errorf("%s does not say status %s\n%s", file, status, meta)
		}
	}
	if found == 0 {
		t.Errorf("MLflow in %s has no run of %s, but %d files", mlruns, run, len(files))
	}
}

// TestNextProcessFinishesEndedRun: a run whose process died behind its last fact has its reports
// and its tracking before the next process ends, at once and whatever it does on the folder.
func TestNextProcessFinishesEndedRun(t *testing.T) {
	awayFromServers(t)
	for name, args := range map[string][]string{
		"run":     {"run", "--predictions", "answers.jsonl", "--set", "evaluator.metrics=exact_match", "--relaxed-sync"},
		"archive": {"archive", "--older-than", "0s"},
	} {
		data := killedAtEnd(t, "killed")
		args := append(args, "--data", data)
		if name == "run" {
			args = append(args, "--reports", data+"-reports", "--tracking-uri", "file:"+data+"-ml")
		} else {
			t.Setenv("TUNEBUS_SERVICES_TRACKER_REPORTS", data+"-reports")
			t.Setenv("TUNEBUS_SERVICES_TRACKER_TRACKING_URI", "file:"+data+"-ml")
		}
		status, out, screen := clitest.Run(t, args...)
		if status != 0 || !strings.Contains(screen, "run killed had ended before its reports and its tracking were written; they are complete now") {
			t.Errorf("%s: status %d\n%s%s", name, status, out, screen)
		}
		if name == "archive" && !strings.Contains(out, "killed") {
			t.Errorf("the run is not archived\n%s", out)
		}
		checkFinished(t, data+"-reports", data+"-ml", "killed", "3")
	}
}

// TestCancelEndsWhereRunBegan: a run that was interrupted and is cancelled on its folder ends in
// its reports and in its MLflow, and no other folder is made. The next commands use its places.
func TestCancelEndsWhereRunBegan(t *testing.T) {
	working := awayFromServers(t)
	clitest.Write(t, working, "run.toml", trainable(t))
	interruptRun(t, "run", "run.toml", "--run-id", "first", "--data", "k/d", "--reports", "k/rep", "--tracking-uri", "file:k/ml", "--relaxed-sync")
	status, out, screen := clitest.Run(t, "cancel", "first", "--data", "k/d")
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	}
	checkFinished(t, "k/rep", "k/ml", "first", "5")

	status, out, screen = clitest.Run(t, "run", "--data", "k/d", "--predictions", "answers.jsonl", "--set", "evaluator.metrics=exact_match", "--run-id", "second", "--relaxed-sync")
	want := "as before on the data folder k/d, reports go to k/rep, and tracking goes to file:./k/ml; to change that, give --reports or --tracking-uri"
	if status != 0 || !strings.Contains(strings.Join(strings.Fields(screen), " "), want) {
		t.Errorf("status %d, want %q\n%s%s", status, want, out, screen)
	}
	checkFinished(t, "k/rep", "k/ml", "second", "3")
	status, out, screen = clitest.Run(t, "rerun", "second", "--data", "k/d", "--run-id", "third")
	if status != 0 {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	checkFinished(t, "k/rep", "k/ml", "third", "3")
	if err := os.RemoveAll("k/rep"); err != nil {
		t.Fatal(err)
	}
	if status, out, screen = clitest.Run(t, "replay", "tracking", "--data", "k/d"); status != 0 {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	checkFinished(t, "k/rep", "k/ml", "third", "3")
	for _, folder := range []string{"reports", "mlruns", "tunebus-data"} {
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("there is a folder %s in the working folder", folder)
		}
	}
}

// interruptRun interrupts a run as soon as it is worked on.
func interruptRun(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	screen := &cancellingScreen{cancel: cancel, at: "started"}
	cli.Main(ctx, args, io.Discard, screen)
	if ctx.Err() == nil {
		t.Fatalf("nothing was interrupted\n%s", screen.text.String())
	}
}

// cancellingScreen ends a command when it shows a word.
type cancellingScreen struct {
	cancel context.CancelFunc
	at     string
	text   bytes.Buffer
}

func (s *cancellingScreen) Write(p []byte) (int, error) {
	if s.text.Write(p); strings.Contains(s.text.String(), s.at) {
		s.cancel()
	}
	return len(p), nil
}
