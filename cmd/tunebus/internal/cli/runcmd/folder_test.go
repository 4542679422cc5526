package runcmd_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// interruptedRuns is a data folder with a run whose worker was killed, a run that
// waits in its queue, and a run that has ended. The first two end by no worker.
func interruptedRuns(t *testing.T) *clitest.DataFolder {
	t.Helper()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("killed")[:3]...)
		clitest.Publish(t, b, clitest.EndedRun("queued")[:2]...)
		clitest.Publish(t, b, clitest.EndedRun("ended")...)
	})
	return f
}

// TestCancelOnFolder: a run of a data folder on which nobody works can be
// cancelled; nothing works on its job meanwhile.
func TestCancelOnFolder(t *testing.T) {
	t.Chdir(t.TempDir()) // runs are tracked into the working folder
	f := interruptedRuns(t)
	for _, run := range []string{"killed", "queued"} {
		var cancelled struct {
			Status  events.Status `json:"status"`
			Pending bool          `json:"tracking_pending"`
			Took    float64       `json:"cancel_seconds"`
		}
		clitest.Result(t, &cancelled, "cancel", run, "--data", f.Dir, "--reason", "no longer wanted")
		if cancelled.Status != "cancelled" || cancelled.Pending {
			t.Errorf("%s: %+v", run, cancelled)
		}
		var shown struct {
			Status events.Status `json:"status"`
		}
		clitest.Result(t, &shown, "show", run, "--data", f.Dir)
		if shown.Status != "cancelled" {
			t.Errorf("show %s: %+v", run, shown)
		}
		if list, err := os.ReadFile("reports/runs.txt"); err != nil || !strings.Contains(string(list), run+"  cancelled") && !strings.Contains(string(list), run+"   cancelled") {
			t.Errorf("the list of runs: %s, %v", list, err)
		}
		_, out, _ := clitest.Run(t, "logs", run, "--data", f.Dir)
		if !strings.Contains(out, "inference     phase ended: cancelled\n") || strings.Contains(out, "intake") {
			t.Errorf("the log of %s:\n%s", run, out)
		}
	}
	for run, want := range map[string]struct {
		status exit.Code
		says   string
	}{
		"killed":  {exit.CodeOK, "ended already"},
		"ended":   {exit.CodeInput, "ended already"},
		"unknown": {exit.CodeInput, "run unknown is unknown on the data folder "},
	} {
		status, out, screen := clitest.Run(t, "cancel", run, "--data", f.Dir)
		if status != int(want.status) || !strings.Contains(out+screen, want.says) {
			t.Errorf("cancel %s: status %d, want %d\n%s%s", run, status, want.status, out, screen)
		}
	}
}

// TestWatchOnFolder: a run that has ended is shown; for one that has not, and
// that nobody works on, the command that goes on with it is named.
func TestWatchOnFolder(t *testing.T) {
	t.Setenv("TUNEBUS_DATA_FOLDER", interruptedRuns(t).Dir)
	t.Setenv("NATS_URL", "")
	status, out, screen := clitest.Run(t, "watch", "name-of-ended")
	if status != 0 || !strings.Contains(out, "name-of-ended (ended): success") {
		t.Errorf("watch of a run that has ended: status %d\n%s%s", status, out, screen)
	}
	status, _, screen = clitest.Run(t, "watch", "kill")
	if status != int(exit.CodeError) || !strings.Contains(screen, "tunebus up --data ") || !strings.Contains(screen, "run killed has not ended") {
		t.Errorf("watch of a run that has not: status %d\n%s", status, screen)
	}
}

// TestStoppedOnFolder: a run whose process was killed is not said to be running, and no time of it
// goes on, where nobody works on its folder. Its phase took until its last sign of life.
func TestStoppedOnFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	f := interruptedRuns(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.PublishProgress(t, b, events.Progress{RunID: "killed", Phase: events.Inference, Attempt: 1, Step: 21, Total: 40, RemainingSeconds: 5})
	})
	status, out, screen := clitest.Run(t, "runs", "--data", f.Dir)
	if status != 0 || !strings.Contains(out, "inference stopped, 53%") || !strings.Contains(out, "queued") {
		t.Errorf("runs: status %d\n%s%s", status, out, screen)
	}
	for filter, want := range map[string]string{"stopped": "killed", "running": "", "queued": "queued"} {
		var list []struct {
			ID     string `json:"run_id"`
			Status string `json:"status"`
		}
		clitest.Result(t, &list, "runs", "--data", f.Dir, "--status", filter)
		if want == "" && len(list) > 0 || want != "" && (len(list) != 1 || list[0].ID != want || list[0].Status != filter) {
			t.Errorf("--status %s lists %+v", filter, list)
		}
	}
	var stopped struct {
		Status  string `json:"status"`
		Stopped bool   `json:"stopped"`
		Phases  []struct {
			Status   string `json:"status"`
			Attempts []struct {
				Outcome string `json:"outcome"`
			} `json:"attempt_results"`
		} `json:"phases"`
	}
	clitest.Result(t, &stopped, "show", "killed", "--data", f.Dir)
	if !stopped.Stopped || stopped.Status != "stopped" || stopped.Phases[0].Status != "stopped" || stopped.Phases[0].Attempts[0].Outcome != "stopped" {
		t.Errorf("show --json does not say that the run has stopped: %+v", stopped)
	}
	status, out, screen = clitest.Run(t, "show", "killed", "--data", f.Dir)
	if status != 0 || !strings.Contains(out, "(killed): stopped") || !strings.Contains(out, "stopped at answer 21 of 40 (53 %)") || strings.Contains(out, "left") || strings.Contains(out, "running") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
}
