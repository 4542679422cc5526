package runcmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// leaveUnfinished stores runs that no process finished in the data folder of a
// test: "killed" had a worker, "queued" had none, and the queue of "foreign" has no
// worker in a run, and no run allows the judge of "judged". The first two fail when a worker takes them, because they have
// no test data.
func leaveUnfinished(t *testing.T, dir string) {
	t.Helper()
	server := bustest.Start(t, embedded.Options{Dir: filepath.Join(dir, "data", "nats"), RelaxedSync: true})
	b := clitest.Connect(t, conn.Options{InProcess: server, Name: "test"})
	queues := topology.DefaultQueues()
	queues[events.Inference] = append(queues[events.Inference], "elsewhere")
	if err := topology.Apply(t.Context(), b, topology.Topology{Queues: queues}); err != nil {
		t.Fatal(err)
	}
	clitest.Publish(t, b, clitest.EndedRun("killed")[:3]...)
	clitest.Publish(t, b, clitest.EndedRun("queued")[:2]...)
	foreign := clitest.EndedRun("foreign")[:2]
	accepted, job := foreign[0].(events.PipelineAccepted), foreign[1].(events.PhaseRequested)
	accepted.Plan = []events.Step{{Phase: events.Inference, Queue: "elsewhere"}}
	job.Plan, job.Queue = accepted.Plan, "elsewhere"
	clitest.Publish(t, b, accepted, job)
	judged := clitest.EndedRun("judged")[:2]
	accepted, job = judged[0].(events.PipelineAccepted), judged[1].(events.PhaseRequested)
	accepted.Specification.Evaluator.JudgeBaseURL = "http://127.0.0.1:9/v1"
	job.Specification = accepted.Specification
	clitest.Publish(t, b, accepted, job)
	b.Close()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestRunAfterUnfinishedRuns: a run names the runs that were left unfinished on its
// data folder, and goes on with them first, cancels them, or leaves them as they
// are. It says which ones have not ended when it ends.
func TestRunAfterUnfinishedRuns(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		args   []string
		status map[string]events.Status
		left   string
	}{
		"first":  {nil, map[string]events.Status{"killed": "failure", "queued": "failure", "foreign": "queued", "judged": "queued"}, "foreign, judged"},
		"cancel": {[]string{"--resume=cancel"}, map[string]events.Status{"killed": "cancelled", "queued": "cancelled", "foreign": "cancelled", "judged": "cancelled"}, ""},
		"skip":   {[]string{"--resume=skip"}, map[string]events.Status{"killed": "stopped", "queued": "queued", "foreign": "queued", "judged": "queued"}, "foreign, judged, killed, queued"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			leaveUnfinished(t, dir)
			status, out, screen := clitest.Run(t, evaluationOnly(t, dir, append(want.args, "--set", "evaluator.metrics=exact_match")...)...)
			if status != 0 {
				t.Fatalf("status %d\n%s", status, screen)
			}
			if clitest.ReadSummary(t, out).Status != "success" {
				t.Errorf("the new run: %s", out)
			}
			for _, says := range []string{"4 runs were left unfinished on the data folder", "killed (name-of-killed), whose process was killed during inference: NATS gives the job to a worker again within half a minute\n", "queued (name-of-queued)\n", "foreign (name-of-foreign), which waits for a worker of inference/elsewhere", "judged (name-of-judged), whose judge http://127.0.0.1:9/v1 is not allowed here"} {
				if !strings.Contains(screen, says) {
					t.Errorf("the screen does not say %q:\n%s", says, screen)
				}
			}
			_, left, _ := strings.Cut(screen, "left unfinished on the data folder "+dir+"/data: ")
			left, goesOn, _ := strings.Cut(left, "\n")
			if strings.Contains(goesOn, "tunebus up --data "+dir+"/data") != (want.left != "") {
				t.Errorf("what goes on with them:\n%s", screen)
			}
			if strings.TrimSpace(left) != want.left {
				t.Errorf("says at its end that %q is left, want %q", left, want.left)
			}
			for run, wanted := range want.status {
				var shown struct {
					Status events.Status `json:"status"`
				}
				clitest.Result(t, &shown, "show", run, "--data", filepath.Join(dir, "data"))
				if shown.Status != wanted {
					t.Errorf("%s is %s, want %s", run, shown.Status, wanted)
				}
			}
		})
	}
	if status, _, screen := clitest.Run(t, evaluationOnly(t, t.TempDir(), "--resume=later")...); status != int(exit.CodeInput) || !strings.Contains(screen, "first, cancel, skip") {
		t.Errorf("--resume=later: status %d, %s", status, screen)
	}
	if status, _, screen := clitest.Run(t, evaluationOnly(t, t.TempDir(), "--resume", "--run-id", "a4")...); status != int(exit.CodeInput) || !strings.Contains(screen, "--resume wants a value, one of first, cancel, skip") {
		t.Errorf("--resume without a value: status %d, %s", status, screen)
	}
}
