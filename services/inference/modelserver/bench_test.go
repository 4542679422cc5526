package modelserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// bench is a folder in which an engine works without a worker: it is the runtime and
// the store of its job. It lies on the disk, so that another process can go on in it.
type bench struct {
	dir string

	mu       sync.Mutex
	warnings []string
	step     int64
	points   map[string]float64
	onStep   func(step int64)
}

func newBench(dir string) *bench { return &bench{dir: dir, points: map[string]float64{}} }

func (b *bench) ScratchPath(name string) (string, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("scratch-%d", os.Getpid()))
	return filepath.Join(dir, name), os.MkdirAll(dir, 0o750)
}

func (b *bench) RecordProgress(_ context.Context, step, _ int64, points []events.Point) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step = step
	for _, p := range points {
		b.points[p.Key] = p.Value
	}
	if b.onStep != nil {
		b.onStep(step)
	}
	return nil
}

func (b *bench) SaveCheckpoint(_ context.Context, step int64, dir string, _ int) error {
	return os.CopyFS(filepath.Join(b.dir, fmt.Sprintf("checkpoint-%08d", step)), os.DirFS(dir))
}

func (b *bench) StartOver(context.Context, error) error { return nil }
func (b *bench) Announce(_ context.Context, a engine.Announcement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Warning != "" {
		b.warnings = append(b.warnings, a.Warning)
	}
}
func (b *bench) IsKept(int64) bool                                     { return true }
func (b *bench) Fetch(context.Context, events.Reference, string) error { return errors.ErrUnsupported }
func (b *bench) FetchDir(_ context.Context, ref events.Reference, dir string) error {
	return os.CopyFS(dir, os.DirFS(ref.Key))
}

func (b *bench) PutDir(context.Context, string, string) (events.Reference, error) {
	return events.Reference{}, errors.ErrUnsupported
}

func (b *bench) PutFile(ctx context.Context, key, mediaType, path string) (events.Reference, error) {
	if ctx.Err() != nil {
		return events.Reference{}, ctx.Err()
	}
	return events.Reference{Key: key, MediaType: mediaType}, os.Rename(path, filepath.Join(b.dir, filepath.Base(key)))
}

// request is a job on the rows of the bench.
func request(change func(s *events.Specification)) events.PhaseRequested {
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.Inferencer.TestingDataID, s.Inferencer.Engine = "owner/base", "rows.jsonl", "openai"
	s.Inferencer.Temperature, s.Inferencer.MaxNewTokens = 0, 32
	if change != nil {
		change(&s)
	}
	return events.PhaseRequested{RunID: "r1", Phase: events.Inference, Queue: "openai", Specification: s}
}

// job is a job that resumes from the newest checkpoint of the bench.
func (b *bench) job(r events.PhaseRequested) *engine.Job {
	resume := engine.Resume{}
	if kept, err := filepath.Glob(filepath.Join(b.dir, "checkpoint-*")); err == nil && len(kept) > 0 {
		resume.Dir = kept[len(kept)-1]
		resume.Step, _ = strconv.ParseInt(strings.TrimPrefix(filepath.Base(resume.Dir), "checkpoint-"), 10, 64)
	}
	return engine.NewJob(engine.JobConfig{
		Request: r, Attempt: 1, Resume: resume, Runtime: b, Store: b,
		Sources:  engine.Sources{Roots: []string{b.dir}},
		SaveTime: 5 * time.Second,
	})
}

// write writes the rows q0, q1, ….
func (b *bench) write(t testing.TB, n int) {
	t.Helper()
	f, err := os.Create(filepath.Join(b.dir, "rows.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, "{\"question\":\"q%d\",\"answer\":\"a\"}\n", i)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// adapter writes an adapter of a rank, and returns its reference.
func (b *bench) adapter(t testing.TB, rank int) *events.Reference {
	t.Helper()
	dir := filepath.Join(b.dir, "trained")
	config := fmt.Sprintf(`{"peft_type": "LORA", "r": %d, "base_model_name_or_path": "/somewhere"}`, rank)
	err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), []byte("weights"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return &events.Reference{Key: dir, SHA256: strings.Repeat("0123456789abcdef", 4)}
}

// answers reads the answers of a job.
func (b *bench) answers(t testing.TB, file string) (out []prediction.Prediction) {
	t.Helper()
	f, err := os.Open(filepath.Join(b.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for p, err := range prediction.Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Index != int64(len(out)) {
			t.Fatalf("row %d has the index %d", len(out), p.Index)
		}
		out = append(out, p)
	}
	return out
}

// config is the engine's for a server.
func config(endpoint, folder string) modelserver.Config {
	return modelserver.Config{Endpoint: endpoint + "/v1", Folder: folder, Backoff: modelapi.Backoff{First: time.Millisecond, Longest: 4 * time.Millisecond}}
}

// childVariable has the test's program work on the job of a bench.
const childVariable = "MODELSERVER_TEST_JOB"

func TestMain(m *testing.M) {
	if at := os.Getenv(childVariable); at != "" {
		os.Exit(child(at))
	}
	goleak.VerifyTestMain(m)
}

// childJob is what the child of a test works on.
type childJob struct{ Dir, Endpoint string }

func child(text string) int {
	var j childJob
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	b := newBench(j.Dir)
	cfg := config(j.Endpoint, filepath.Join(j.Dir, "machine"))
	cfg.SaveEvery = 200 * time.Millisecond
	if _, err := modelserver.New(cfg).Run(context.Background(), b.job(request(nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// leftovers are the files below a folder that hold answers or adapters.
func leftovers(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}
