package trainertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

var (
	kills = flag.Int("kills", 20, "how many processes are killed")
	runs  = flag.Int("runs", 6, "in how many runs at least")
	seed  = flag.Uint64("seed", 0, "of what is killed when; 0: another one each time")
)

// programs are built once for all tests of the package.
var programs processes.Programs

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if err := programs.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}

// seeds is how many different results there are.
const seeds = 4

// deployment is NATS and all services that fine-tuning needs, with workers whose engine
// is the trainer of the manual.
type deployment struct {
	dir, url string
	env      []string
	bus      *conn.Conn
	workers  []*processes.Process
	services []*processes.Process
}

func newDeployment(t *testing.T, trainer string, env ...string) *deployment {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		// "make test" needs Go alone; CI runs "make test-trainer", which fails without a python3.
		t.Skip("there is no python3; make test-trainer wants one")
	}
	dir, port := t.TempDir(), fmt.Sprint(processes.FreePort(t))
	d := &deployment{dir: dir, url: "nats://127.0.0.1:" + port}
	d.env = []string{
		"TUNEBUS_BUS_URL=" + d.url,
		"TUNEBUS_ARTIFACTS_URL=file://" + filepath.Join(dir, "artifacts"),
		"TUNEBUS_DATA_ROOTS=" + filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:" + filepath.Join(dir, "mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS=" + filepath.Join(dir, "reports"),
		"TUNEBUS_SERVICES_FINETUNE_QUEUE=command",
		"TUNEBUS_SERVICES_FINETUNE_SLOTS=3",
		"TUNEBUS_SERVICES_FINETUNE_GRACE=10s",
		"TUNEBUS_SERVICES_FINETUNE_COMMAND=" + python + "," + filepath.Join(processes.Root(), filepath.FromSlash(trainer)),
		"TUNEBUS_LIMITS_MAX_TRIES=1000",
		"TUNEBUS_LIMITS_MAX_CRASHES=1000",
	}
	d.env = append(d.env, env...)
	// By default a server may use a share of the disk, which says nothing about a test.
	conf := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "jetstream { store_dir: %q, max_file_store: 16GB }\n", filepath.Join(dir, "nats")), 0o600); err != nil {
		t.Fatal(err)
	}
	programs.Start(t, dir, processes.NATS, nil, "-c", conf, "-a", "127.0.0.1", "-p", port)
	programs.Start(t, dir, processes.Tunebus, d.env, "setup", "--wait", "30s", "--ack-wait", "2s").Wait(t, time.Minute)
	for _, program := range []string{processes.Intake, processes.Tracker} {
		d.services = append(d.services, programs.Start(t, dir, program, d.env))
	}
	for range 2 {
		d.workers = append(d.workers, programs.Start(t, dir, processes.Finetune, d.env))
	}
	if d.bus, err = conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: d.url, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.bus.Close)
	return d
}

// request requests a run of 64 steps, each phase of which may crash so often.
func (d *deployment) request(t *testing.T, id string, seed, crashes int) {
	t.Helper()
	specification := fmt.Appendf(nil, `{
  "fine_tuner": {"engine": "command", "base_model_id": "base-model", "training_data_id": "validation.jsonl", "max_sequence_length": 64,
    "device_train_batch_size": 4, "grad_accumulation": 1, "epochs": 2, "save_steps": 5, "seed": %d},
  "mlflow": {"run_name": %q},
  "pipeline": {"stop_after_finetuning": true, "max_tries": 1000, "max_crashes": %d, "backoff": "100ms"}}`, seed, id, crashes)
	req := events.PipelineRequested{RunID: id, Specification: specification}
	if _, err := journal.New(d.bus).Publish(t.Context(), req, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

// run reads a run.
func (d *deployment) run(t *testing.T, id string) events.Run {
	t.Helper()
	r, err := history.New(d.bus).Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// chain waits for the end of a run, and returns the result of its trainer.
func (d *deployment) chain(t *testing.T, id string) string {
	t.Helper()
	var r events.Run
	processes.Eventually(t, 3*time.Minute, id+" ends and is tracked", func() error {
		if r = d.run(t, id); r.Completed == nil || r.Tracked == nil {
			return errors.New("not yet")
		}
		return nil
	})
	done := r.Phases[events.Finetune].Completed
	model, ok := done.Artifact(events.ArtifactModel)
	if !ok {
		t.Fatalf("%s ended %s: %+v", id, done.Conclusion, done.Error)
	}
	store, err := artifact.Open(t.Context(), "file://"+filepath.Join(d.dir, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := filepath.Join(t.TempDir(), id)
	if err := transfer.New(store).FetchDir(t.Context(), model, dir); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "chain.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// trainerProcesses are the supervisors and the trainers that run here.
func (d *deployment) trainerProcesses() (supervisors, trainers []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), "--job\x00"+d.dir) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err != nil {
			continue
		}
		if strings.HasPrefix(string(line), "tunebus-supervisor\x00") {
			supervisors = append(supervisors, pid)
		} else {
			trainers = append(trainers, pid)
		}
	}
	return supervisors, trainers
}

// kill kills a worker, a trainer or a supervisor. It is false if there is none.
func (d *deployment) kill(t *testing.T, random *rand.Rand) bool {
	t.Helper()
	supervisors, trainers := d.trainerProcesses()
	if len(trainers) == 0 {
		return false
	}
	switch n := random.IntN(10); {
	case n < 3:
		i := random.IntN(len(d.workers))
		d.workers[i].Kill(t)
		d.workers[i] = programs.Start(t, d.dir, processes.Finetune, d.env)
	case n < 5 && len(supervisors) > 0:
		_ = syscall.Kill(supervisors[random.IntN(len(supervisors))], syscall.SIGKILL) // it may have ended
	default:
		_ = syscall.Kill(trainers[random.IntN(len(trainers))], syscall.SIGKILL) // as above
	}
	return true
}

// TestKills: workers, trainers and what watches over them are killed at random. The
// results of all runs are those of undisturbed ones, no process is left, and the audit
// finds nothing.
func TestKills(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "docs/examples/trainer/trainer.py", "TUNEBUS_SERVICES_FINETUNE_ENVIRONMENT=CHAIN_STEP_SECONDS=0.04",
		"TUNEBUS_LIMITS_BACKOFF=1s") // so that the kills do not wait for the last run, which gets most of them
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	random := rand.New(rand.NewPCG(s, 0))
	var want [seeds]string
	for i := range seeds {
		d.request(t, fmt.Sprintf("undisturbed-%d", i), i, 1)
	}
	for i := range seeds {
		want[i] = d.chain(t, fmt.Sprintf("undisturbed-%d", i))
		if slices.Contains(want[:i], want[i]) {
			t.Fatalf("another seed has the same result %q", want[i])
		}
	}
	requested, killed := 0, 0
	next := func() {
		d.request(t, fmt.Sprintf("killed-%d", requested), requested%seeds, 1000)
		requested++
	}
	for range *runs {
		next()
	}
	for killed < *kills {
		pause := time.NewTimer(time.Duration(50+random.IntN(300)) * time.Millisecond)
		<-pause.C
		if d.kill(t, random) {
			killed++
		} else if d.run(t, fmt.Sprintf("killed-%d", requested-1)).Completed != nil {
			next() // all of them were done before the last kill
		}
	}
	attempts := 0
	for i := range requested {
		id := fmt.Sprintf("killed-%d", i)
		if got := d.chain(t, id); got != want[i%seeds] {
			t.Errorf("the result of %s is %q, want %q", id, got, want[i%seeds])
		}
		attempts += len(d.run(t, id).Phases[events.Finetune].Attempts)
	}
	t.Logf("%d kills, %d runs, %d attempts", killed, requested, attempts)
	processes.Eventually(t, time.Minute, "all messages are settled", func() error { return d.unsettled(t) })
	for _, p := range append(d.workers, d.services...) {
		p.Stop(t)
	}
	processes.Eventually(t, 10*time.Second, "no trainer is left", func() error {
		if s, c := d.trainerProcesses(); len(s)+len(c) > 0 {
			return fmt.Errorf("the processes %v and %v", s, c)
		}
		return nil
	})
	programs.Start(t, d.dir, processes.Tunebus, d.env, "gc", "--grace", "1s").Wait(t, time.Minute)
	d.audit(t)
}

// TestHang: a trainer that stays in its first stage is ended with all of its processes, and the
// failure names the limit.
func TestHang(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "services/finetune/trainer/testdata/rude.py",
		"TUNEBUS_SERVICES_FINETUNE_ENVIRONMENT=RUDE=hangs", "TUNEBUS_SERVICES_FINETUNE_STALL_LOAD=3s")
	d.request(t, "hangs", 0, 1)
	var r events.Run
	processes.Eventually(t, 3*time.Minute, "the run ends", func() error {
		if r = d.run(t, "hangs"); r.Completed == nil {
			return errors.New("not yet")
		}
		return nil
	})
	done := r.Phases[events.Finetune].Completed
	if done.Conclusion != events.Failure || !strings.Contains(done.Error.Message, "services.finetune.stall.load") {
		t.Errorf("it ended %s: %+v", done.Conclusion, done.Error)
	}
	processes.Eventually(t, 30*time.Second, "no trainer is left", func() error {
		if s, c := d.trainerProcesses(); len(s)+len(c) > 0 {
			return fmt.Errorf("the processes %v and %v", s, c)
		}
		return nil
	})
}

// unsettled is the error of messages that a service still has, such as metrics of a run that
// ended a moment ago.
func (d *deployment) unsettled(t *testing.T) error {
	t.Helper()
	var s snapshot.State
	err := snapshot.ReadStreams(t.Context(), d.url, &s)
	for _, c := range s.Consumers {
		if c.Unsettled() > 0 {
			err = errors.Join(err, fmt.Errorf("%s of %s has %d messages waiting and %d unsettled", c.Name, c.Stream, c.Pending, c.AckPending))
		}
	}
	return err
}

// audit reports every fault of what was left behind.
func (d *deployment) audit(t *testing.T) {
	t.Helper()
	var s snapshot.State
	err := errors.Join(
		snapshot.ReadArtifacts(filepath.Join(d.dir, "artifacts"), &s),
		snapshot.ReadStreams(t.Context(), d.url, &s),
		snapshot.ReadMLflow(filepath.Join(d.dir, "mlruns"), &s),
		snapshot.ReadReports(filepath.Join(d.dir, "reports"), &s),
		snapshot.ReadScratch(d.dir, &s),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range audit.Check(s) {
		t.Error(f)
	}
}
