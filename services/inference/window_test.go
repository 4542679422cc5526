package inference_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/inference"
)

// bench is a folder in which an engine works without a worker: it is the runtime and
// the store of its job.
type bench struct {
	dir  string
	kept string // the newest checkpoint
	step int64

	stop    func() // called when so many answers are there; nil: never
	stopAt  int64
	answers int64
}

func (b *bench) ScratchPath(name string) (string, error) {
	dir := filepath.Join(b.dir, "scratch")
	return filepath.Join(dir, name), os.MkdirAll(dir, 0o750)
}

func (b *bench) RecordProgress(_ context.Context, step, _ int64, _ []events.Point) error {
	if b.answers = step; b.stop != nil && step >= b.stopAt {
		b.stop()
	}
	return nil
}

func (b *bench) SaveCheckpoint(_ context.Context, step int64, dir string, _ int) error {
	b.step, b.kept = step, filepath.Join(b.dir, fmt.Sprintf("checkpoint-%d", step))
	return os.CopyFS(b.kept, os.DirFS(dir))
}

func (b *bench) StartOver(context.Context, error) error                { return nil }
func (b *bench) Announce(context.Context, engine.Announcement)         {}
func (b *bench) IsKept(int64) bool                                     { return true }
func (b *bench) WriteLog(_, text string) string                        { return text }
func (b *bench) Fetch(context.Context, events.Reference, string) error { return errors.ErrUnsupported }
func (b *bench) FetchDir(context.Context, events.Reference, string) error {
	return errors.ErrUnsupported
}
func (b *bench) PutDir(context.Context, string, string) (events.Reference, error) {
	return events.Reference{}, errors.ErrUnsupported
}

func (b *bench) PutFile(_ context.Context, key, mediaType, path string) (events.Reference, error) {
	return events.Reference{Key: key, MediaType: mediaType}, os.Rename(path, filepath.Join(b.dir, filepath.Base(key)))
}

// job is a job on the rows of a file, which resumes from a folder.
func (b *bench) job(t testing.TB, resume string, change func(i *events.Inferencer)) *engine.Job {
	t.Helper()
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.Inferencer.TestingDataID = "base-model", "rows.jsonl"
	s.Inferencer.Temperature, s.Inferencer.MaxNewTokens, s.Inferencer.BatchSize = 0, 4, 2
	change(&s.Inferencer)
	model, err := filepath.Abs(base)
	if err != nil {
		t.Fatal(err)
	}
	return engine.NewJob(engine.JobConfig{
		Request: events.PhaseRequested{RunID: "r", Phase: events.Inference, Specification: s},
		Attempt: 1, Resume: engine.Resume{Dir: resume}, Runtime: b, Store: b,
		Sources: engine.Sources{Roots: []string{b.dir, filepath.Dir(model)}},
	})
}

// write writes the rows, question by question.
func (b *bench) write(t testing.TB, n int, question func(i int) string) {
	t.Helper()
	f, err := os.Create(filepath.Join(b.dir, "rows.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, "{\"question\":%q,\"answer\":\"a\"}\n", question(i))
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// result returns the answers of a job that was worked on.
func (b *bench) result(t testing.TB) (out []string) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(b.dir, prediction.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		var p prediction.Prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Index != int64(len(out)) {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, p.Answer)
	}
	return out
}

// TestWindows: however many rows are in memory at once, the answers are the same, in
// the order of the rows, also where they are drawn.
func TestWindows(t *testing.T) {
	t.Parallel()
	want := map[float64][]string{}
	for _, window := range []int{1, 3, 4, 100} {
		for _, temperature := range []float64{0, 50} {
			b := &bench{dir: t.TempDir()}
			b.write(t, 11, func(i int) string { return strings.Repeat("Say mackerel. ", 1+i*5%3) + fmt.Sprint(i) })
			res, err := inference.WithWindow(window).Run(t.Context(), b.job(t, "", func(i *events.Inferencer) { i.Temperature, i.MinP = temperature, 0 }))
			if err != nil || res.Statistics["inference_rows"] != 11 {
				t.Fatalf("%+v, %v", res, err)
			}
			got := b.result(t)
			if want[temperature] == nil {
				want[temperature] = got
			}
			if len(got) != 11 || !slices.Equal(got, want[temperature]) {
				t.Errorf("%d rows in memory, temperature %v:\n%q\nwant\n%q", window, temperature, got, want[temperature])
			}
		}
	}
	if slices.Equal(want[0], want[50]) {
		t.Error("nothing is drawn")
	}
}

// TestWindowsResume: an attempt that was cut off in a later window is continued with
// the answers that it saved, whatever their order, and gives the same result. Answers
// to other questions are not taken.
func TestWindowsResume(t *testing.T) {
	t.Parallel()
	question := func(i int) string { return fmt.Sprintf("Say mackerel %d times.", i) }
	whole := &bench{dir: t.TempDir()}
	whole.write(t, 11, question)
	if _, err := inference.WithWindow(4).Run(t.Context(), whole.job(t, "", func(*events.Inferencer) {})); err != nil {
		t.Fatal(err)
	}
	want := whole.result(t)
	cut := &bench{dir: t.TempDir(), stopAt: 7}
	cut.write(t, 11, question)
	ctx, cancel := context.WithCancelCause(t.Context())
	cut.stop = func() { cancel(engine.ErrShutdown) }
	if _, err := inference.WithWindow(4).Run(ctx, cut.job(t, "", func(*events.Inferencer) {})); !errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrShutdown) {
		t.Fatal(err)
	}
	if cut.step < 7 || cut.step >= 11 {
		t.Fatalf("a checkpoint at step %d", cut.step)
	}
	file := filepath.Join(cut.kept, prediction.FileName)
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(body)))
	if int64(len(lines)) != cut.step {
		t.Errorf("%d answers are saved at step %d", len(lines), cut.step)
	}
	slices.Reverse(lines) // as an earlier version wrote them
	first, later := lines[len(lines)-1], `{"index":10,"question":"Another one?","answer":"No."}`+"\n"
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")+later), 0o600); err != nil {
		t.Fatal(err)
	}
	again := &bench{dir: t.TempDir()}
	again.write(t, 11, question)
	res, err := inference.WithWindow(4).Run(t.Context(), again.job(t, cut.kept, func(*events.Inferencer) {}))
	if err != nil {
		t.Fatal(err)
	}
	if got := again.result(t); !slices.Equal(got, want) || again.answers != 11 {
		t.Errorf("%d answers:\n%q\nwant\n%q", again.answers, got, want)
	}
	if res.TokensOut == 0 || !strings.Contains(first, `"index":0`) {
		t.Errorf("%+v, %s", res, first)
	}
}

// BenchmarkManyAnswers is the memory that a job needs for its rows and answers, where
// all of them were saved by an earlier attempt. It has a window of them in memory and
// 16 bytes for each other one.
func BenchmarkManyAnswers(b *testing.B) {
	for _, n := range []int{50_000, 500_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				w := &bench{dir: b.TempDir()}
				question := func(i int) string { return fmt.Sprintf("What is %d plus one?", i) }
				w.write(b, n, question)
				kept := filepath.Join(w.dir, "kept")
				if err := os.Mkdir(kept, 0o750); err != nil {
					b.Fatal(err)
				}
				f, err := os.Create(filepath.Join(kept, prediction.FileName))
				if err != nil {
					b.Fatal(err)
				}
				out := bufio.NewWriter(f)
				for i := range n {
					fmt.Fprintf(out, "{\"index\":%d,\"question\":%q,\"ground_truth\":\"a\",\"answer\":\"It is %d.\",\"tokens\":3}\n", i, question(i), i+1)
				}
				if err := errors.Join(out.Flush(), f.Close()); err != nil {
					b.Fatal(err)
				}
				job := w.job(b, kept, func(*events.Inferencer) {})
				peak := artifacttest.PeakHeap(func() { _, err = inference.Engine{}.Run(b.Context(), job) })
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
			}
		})
	}
}
