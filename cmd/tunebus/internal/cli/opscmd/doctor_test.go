package opscmd_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDoctor: what is fine, what is missing, and what to do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	clitest.Eventually(t, "the workers ask for jobs", func() bool { // which they do behind the start
		queues, err := topology.NewInspector(services.Bus).Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q topology.Queue) bool { return q.Phase == events.Finetune && q.Idle == 1 })
	})
	status, out, screen := clitest.Run(t, "doctor", "--server", services.URL)
	for _, want := range []string{"NATS ", "stream TUNEBUS ", "queue finetune/builtin", "free slots 1", "queue inference/openai", "artifacts ", "MLflow "} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q, status %d\n%s%s", want, status, out, screen)
		}
	}
	if _, err := journal.New(services.Bus).Publish(t.Context(), events.PhaseRequested{RunID: "r", Phase: events.Inference, Queue: "openai"}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	status, out, _ = clitest.Run(t, "doctor", "--json", "--server", services.URL)
	var found []struct{ Name, State, Says, Do string }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, f := range found {
		states[f.Name] = f.State + " " + f.Do
	}
	if status != 0 || states["queue inference/openai"] != "look start a worker that takes jobs from it" || states["NATS"] != "ok " {
		t.Errorf("status %d, %v", status, states)
	}
}

// TestGivenBackJob: a job whose inputs lie on another machine is given back by the worker
// that is free. doctor does not count it as worked on, and show and logs say what it waits for.
func TestGivenBackJob(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	plan := []events.Step{{Phase: events.Finetune, Queue: "builtin"}}
	in := events.Inputs{Files: map[string]events.Reference{"fine_tuner.base_model_id": {Store: "local:elsewhere", Key: "/elsewhere/base"}}}
	at := time.Now().Add(-time.Minute)
	clitest.Publish(t, services.Bus,
		events.PipelineAccepted{RunID: "r", RunName: "r", RequestedAt: at, Plan: plan, Inputs: in},
		events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "builtin", Plan: plan, Inputs: in, RequestedAt: at})
	clitest.Eventually(t, "the job is given back", func() bool {
		queues, err := topology.NewInspector(services.Bus).Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q topology.Queue) bool {
			return q.Phase == events.Finetune && q.Name == "builtin" && q.Held == 1 && q.Idle == 1
		})
	})
	waits := "waits for a worker of finetune/builtin in the process that works on the run's data folder, run or up: no other one reads /elsewhere/base where it lies; submit a run with --copy-inputs"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"doctor"}, `jobs waiting 0, worked on 0, free slots 1, given back or to be tried again 1; "tunebus show RUN`},
		{[]string{"show", "r"}, "it " + waits},
		{[]string{"logs", "r"}, "run r has no line yet: it " + waits},
	} {
		status, out, screen := clitest.Run(t, append(c.args, "--server", services.URL)...)
		if all := strings.Join(strings.Fields(out+screen), " "); status != 0 || !strings.Contains(all, c.want) {
			t.Errorf("%v: no %q, status %d\n%s%s", c.args, c.want, status, out, screen)
		}
	}
}

// TestDoctorShowsHeldSlots: a slot of a worker that hangs is shown with the worker, the
// run, and what hangs, until it is free again.
func TestDoctorShowsHeldSlots(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	withdraw := heldslot.Announce(t.Context(), b, heldslot.Record{
		Worker: "gpu-1-4711", RunID: "r7", Phase: events.Finetune, Attempt: 2, Queue: "builtin", Since: time.Now(),
		Why: "it made no progress in the stage fetch for 10m0s while reading /nfs/base/model.safetensors",
	})
	defer withdraw()
	listed := func(n int) func() bool {
		return func() bool {
			held, err := heldslot.List(t.Context(), b)
			return err == nil && len(held) == n
		}
	}
	clitest.Eventually(t, "the slot is announced", listed(1))
	status, out, screen := clitest.Run(t, "doctor", "--server", server.URL())
	for _, want := range []string{
		"look   worker gpu-1-4711", "by run r7, finetune, attempt 2: it made no progress in the stage fetch for 10m0s while reading /nfs/base/model.safetensors",
		"restart the worker", "look   queue finetune/builtin", "held slots 1; start a worker that takes jobs from it", "ok     queue inference/builtin",
	} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q, status %d\n%s%s", want, status, out, screen)
		}
	}
	withdraw()
	clitest.Eventually(t, "the slot is free", listed(0))
	if _, out, _ := clitest.Run(t, "doctor", "--server", server.URL()); strings.Contains(out, "held") {
		t.Errorf("a free slot is shown\n%s", out)
	}
}

// TestDoctorFindsWhatIsMissing: a consumer or a bucket that somebody deleted, and a
// service that does not run while messages wait for it.
func TestDoctorFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.New(b).Publish(t.Context(), events.PipelineRequested{RunID: "r"}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	status, out, screen := clitest.Run(t, "doctor", "--server", server.URL())
	if status != 0 || !strings.Contains(out, "look   service intake") || !strings.Contains(out, "messages waiting 1; nobody takes them; start tunebus-intake") {
		t.Errorf("without intake: status %d\n%s%s", status, out, screen)
	}
	for what, remove := range map[string]func(ctx context.Context, js jetstream.JetStream) error{
		"consumers are missing: intake_cancel": func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteConsumer(ctx, events.StreamFacts, topology.ConsumerCancel)
		},
		"missing: tunebus_checkpoints": func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteKeyValue(ctx, topology.BucketCheckpoints)
		},
	} {
		if err := b.Request(t.Context(), conn.ApplyConsumer, remove); err != nil {
			t.Fatal(err)
		}
		status, out, screen := clitest.Run(t, "doctor", "--server", server.URL())
		if status != 1 || !strings.Contains(out, what+`; "tunebus setup --server `+server.URL()+`" creates what is missing`) {
			t.Errorf("%s: status %d\n%s%s", what, status, out, screen)
		}
	}
}

// TestDoctorWithoutAServer still looks at this machine.
func TestDoctorWithoutAServer(t *testing.T) {
	t.Parallel()
	status, out, _ := clitest.Run(t, "doctor", "--server", "nats://127.0.0.1:1")
	if status != 1 || !strings.Contains(out, "broken  NATS") || !strings.Contains(out, "start it, or say where it is") || !strings.Contains(out, "built-in engine") {
		t.Errorf("status %d\n%s", status, out)
	}
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	empty := server.URL()
	status, out, _ = clitest.Run(t, "doctor", "--server", empty)
	if status != 1 || !strings.Contains(out, "broken  streams ") || !strings.Contains(out, "has no tunebus streams: run `tunebus setup --server "+empty+"`") {
		t.Errorf("without streams: status %d\n%s", status, out)
	}
	if status, out, screen := clitest.Run(t, "setup", "--json", "--server", empty, "--queue", "finetune=big-gpu"); status != 0 || !strings.Contains(out, "big-gpu") {
		t.Errorf("setup: status %d\n%s%s", status, out, screen)
	}
	if status, out, _ := clitest.Run(t, "doctor", "--server", empty); status != 0 || !strings.Contains(out, "queue finetune/big-gpu") {
		t.Errorf("after setup: status %d\n%s", status, out)
	}
}

// TestSmallMaxPayload: setup and doctor do not accept a server that takes only
// small messages. They name both sizes and what to do.
func TestSmallMaxPayload(t *testing.T) {
	t.Parallel()
	small := bustest.StartWithMaxPayload(t, events.MinServerPayload-1)
	status, out, screen := clitest.Run(t, "setup", "--server", small)
	for _, want := range []string{"131,071", "131,072", "max_payload: 1MB"} {
		if status != 1 || out != "" || !strings.Contains(screen, want) {
			t.Errorf("setup: status %d, want %q\n%s%s", status, want, out, screen)
		}
	}
	status, out, screen = clitest.Run(t, "doctor", "--server", small)
	for _, want := range []string{"broken  max_payload", "131,071", "131,072", "max_payload: 1MB", "broken  streams "} {
		if status != 1 || !strings.Contains(out, want) { // setup has created nothing
			t.Errorf("doctor: status %d, want %q\n%s%s", status, want, out, screen)
		}
	}
	enough := bustest.StartWithMaxPayload(t, events.MinServerPayload)
	if status, out, screen := clitest.Run(t, "setup", "--server", enough); status != 0 {
		t.Errorf("setup: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "doctor", "--server", enough); status != 0 || !strings.Contains(out, "131,072 bytes, 131,072 are needed") {
		t.Errorf("doctor: status %d\n%s%s", status, out, screen)
	}
}
