package answers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/answers"
)

// runtime is that of a job without a worker.
type runtime struct{ dir string }

func (r runtime) ScratchPath(name string) (string, error)                          { return filepath.Join(r.dir, name), nil }
func (runtime) RecordProgress(context.Context, int64, int64, []events.Point) error { return nil }
func (r runtime) SaveCheckpoint(_ context.Context, _ int64, dir string, _ int) error {
	return os.CopyFS(filepath.Join(r.dir, "kept"), os.DirFS(dir))
}
func (runtime) StartOver(context.Context, error) error        { return nil }
func (runtime) Announce(context.Context, engine.Announcement) {}
func (runtime) IsKept(int64) bool                             { return true }

// open opens the answers of a job of three rows.
func open(t *testing.T, folder, resume string) (*answers.Log, runtime) {
	t.Helper()
	r := runtime{t.TempDir()}
	job := engine.NewJob(engine.JobConfig{
		Request: events.PhaseRequested{RunID: "r", Phase: events.Inference, RequestedAt: time.Unix(1, 2)}, Runtime: r, Resume: engine.Resume{Dir: resume},
	})
	l, err := answers.Open(answers.Config{Job: job, Rows: 3, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it may be closed already
	return l, r
}

func add(t *testing.T, l *answers.Log, row int64, of string, p prediction.Prediction) {
	t.Helper()
	p.Index = row
	if err := l.Add(t.Context(), answers.Answer{Pass: "p", Row: row, Of: of, Prediction: p}); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, l *answers.Log, row int64, of string) string {
	t.Helper()
	p, ok, err := l.Find("p", row, of)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "-"
	}
	return p.Answer
}

// TestEarlierAnswers: answers of earlier attempts are there, whatever a killed process
// left at the end of its file, but not those to other questions. A row that failed is
// asked again, and its new answer counts.
func TestEarlierAnswers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	l, _ := open(t, folder, "")
	add(t, l, 0, "q0", prediction.Prediction{Answer: "zero"})
	add(t, l, 1, "q1", prediction.Prediction{NoAnswer: true, Error: "refused"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Glob(filepath.Join(folder, "*", "*.jsonl"))
	if err != nil || len(here) != 1 {
		t.Fatal(here, err)
	}
	body, err := os.ReadFile(here[0])
	if err != nil {
		t.Fatal(err)
	}
	torn := string(body) + "damaged\n" + `{"pass":"p","row":99,"of":"q"}` + "\n" + string(body[:len(body)/2])
	if err := os.WriteFile(here[0], []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	second, r := open(t, folder, "")
	if a, b, c := find(t, second, 0, "q0"), find(t, second, 1, "q1"), find(t, second, 0, "another"); a != "zero" || b != "-" || c != "-" {
		t.Errorf("found %q, %q, %q", a, b, c)
	}
	add(t, second, 1, "q1", prediction.Prediction{Answer: "one"})
	var out strings.Builder
	if err := second.Write("p", prediction.NewWriter(&out, 0)); err == nil || !strings.Contains(err.Error(), "row 2 has no answer") {
		t.Errorf("written with %v", err)
	}
	if err := second.SaveLast(t.Context(), os.ErrClosed); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	elsewhere, _ := open(t, t.TempDir(), filepath.Join(r.dir, "kept"))
	third, _ := open(t, folder, "")
	for _, l := range []*answers.Log{elsewhere, third} {
		if a, b := find(t, l, 0, "q0"), find(t, l, 1, "q1"); a != "zero" || b != "one" {
			t.Errorf("found %q, %q", a, b)
		}
	}
	if err := third.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
