package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestJobSaving: a checkpoint may be saved while the work goes on, and for a
// limited time after a shutdown. No attempt resumes after any other end.
func TestJobSaving(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error // nil: the work goes on
		ok    bool
	}{
		"work goes on": {nil, true},
		"shutdown":     {engine.ErrShutdown, true},
		"cancelled":    {errors.New("the run was cancelled"), false},
		"overdue":      {&engine.JobError{Code: "timeout", Permanent: true, Err: errors.New("overdue")}, false},
		"of an engine": {context.Canceled, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.cause != nil {
					cancel(c.cause)
				}
				job := engine.NewJob(engine.JobConfig{SaveTime: 4 * time.Second})
				saving, done, ok := job.Saving(ctx)
				defer done()
				if ok != c.ok || ok && saving.Err() != nil {
					t.Fatalf("ok %t, %v", ok, saving.Err())
				}
				if c.cause == nil || !ok {
					return
				}
				began := time.Now()
				<-saving.Done()
				if took := time.Since(began); took != 4*time.Second {
					t.Errorf("saving may take %s", took)
				}
			})
		})
	}
}

// TestJobSavingUnderWay: a save that is under way outlives a shutdown for a
// limited time, and ends with the work for every other cause.
func TestJobSavingUnderWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		takes time.Duration
	}{
		"shutdown":     {engine.ErrShutdown, 4 * time.Second},
		"cancelled":    {errors.New("the run was cancelled"), 0},
		"of an engine": {context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				saving, done, ok := engine.NewJob(engine.JobConfig{SaveTime: 4 * time.Second}).Saving(ctx)
				defer done()
				if !ok {
					t.Fatal("the work goes on, and no checkpoint may be saved")
				}
				began := time.Now()
				cancel(c.cause)
				<-saving.Done()
				if took := time.Since(began); took != c.takes {
					t.Errorf("saving went on for %s, want %s", took, c.takes)
				}
				if !errors.Is(context.Cause(saving), c.cause) {
					t.Errorf("it ended by %v, want %v", context.Cause(saving), c.cause)
				}
			})
		})
	}
}

// TestJobStartOver: a job that starts over has nothing to resume.
func TestJobStartOver(t *testing.T) {
	t.Parallel()
	job := engine.NewJob(engine.JobConfig{Resume: engine.Resume{Step: 3, Dir: "x"}, Runtime: printer{}})
	if err := job.StartOver(t.Context(), errors.New("other rows")); err != nil || job.Resume != (engine.Resume{}) {
		t.Errorf("%v, resumes from %+v", err, job.Resume)
	}
}

// hub knows one model.
type hub struct{}

func (hub) Model(_ context.Context, id, _ string) (string, error) {
	if id != "owner/model" {
		return "", errors.New("no such model")
	}
	return "/cache/" + id, nil
}

func (hub) Dataset(context.Context, string, source.Selection) (string, error) {
	return "", errors.New("no such data set")
}

// TestJobSources: an upload comes before a local folder, and a local folder
// before the Hub. What cannot be found is a permanent error with a code.
func TestJobSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	upload := func(key, mediaType string) events.Inputs {
		return events.Inputs{Files: map[string]events.Reference{"fine_tuner.base_model_id": {Key: key, MediaType: mediaType}}}
	}
	for name, c := range map[string]struct {
		in   events.Inputs
		hub  engine.Hub
		id   string
		want string
		code string
	}{
		"uploaded folder":            {upload("uploads/x.tar", "application/x-tar"), nil, "owner/model", "input-fine_tuner-base_model_id", ""},
		"uploaded file":              {upload("uploads/x.JSONL", "text/plain"), nil, "", "input-fine_tuner-base_model_id.jsonl", ""},
		"uploaded under a digest":    {upload("content/0123", "text/plain"), nil, "x/rows.jsonl.GZ", "input-fine_tuner-base_model_id.jsonl.gz", ""},
		"upload, unsafe extension":   {upload("uploads/x.a/../../b", "text/plain"), nil, "", "input-fine_tuner-base_model_id", ""},
		"upload, extension too long": {upload("uploads/x.abcdefghijklm", "text/plain"), nil, "", "input-fine_tuner-base_model_id", ""},
		"Hub":                        {events.Inputs{}, hub{}, "owner/model", "/cache/owner/model", ""},
		"not in the Hub":             {events.Inputs{}, hub{}, "owner/other", "", "hub"},
		"no Hub":                     {events.Inputs{}, nil, "owner/model", "", "no_hub"},
		"no id":                      {events.Inputs{}, hub{}, "", "", "missing_input"},
		"a path elsewhere":           {events.Inputs{}, hub{}, "/etc/passwd", "", "missing_input"},
	} {
		job := engine.NewJob(engine.JobConfig{
			Request: events.PhaseRequested{RunID: "r", Phase: events.Finetune, Inputs: c.in},
			Attempt: 1,
			Runtime: printer{dir},
			Store:   keys{},
			Sources: engine.Sources{Roots: []string{dir}, Hub: c.hub},
		})
		got, err := job.Model(t.Context(), "fine_tuner.base_model_id", c.id)
		if c.code != "" {
			if e, ok := errors.AsType[*engine.JobError](err); !ok || e.Code != c.code || !e.Permanent {
				t.Errorf("%s: %v, want the code %s", name, err, c.code)
			}
			continue
		}
		if len(c.in.Files) > 0 {
			c.want = filepath.Join(dir, c.want)
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// TestNamedPipeInModel: a model with a named pipe in it is refused, since opening the pipe
// would hang. A link to a file is a file.
func TestNamedPipeInModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model := filepath.Join(dir, "base", "weights")
	err := errors.Join(os.MkdirAll(model, 0o750), os.WriteFile(filepath.Join(dir, "config.json"), nil, 0o600),
		os.Symlink(filepath.Join(dir, "config.json"), filepath.Join(dir, "base", "config.json")))
	if err != nil {
		t.Fatal(err)
	}
	job := engine.NewJob(engine.JobConfig{Sources: engine.Sources{Roots: []string{dir}}})
	if _, err := job.Model(t.Context(), "fine_tuner.base_model_id", "base"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(model, "model.safetensors"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = job.Model(t.Context(), "fine_tuner.base_model_id", "base")
	if e, ok := errors.AsType[*engine.JobError](err); !ok || !e.Permanent || !strings.Contains(err.Error(), `fine_tuner.base_model_id = "base": weights/model.safetensors is neither a file nor a folder`) {
		t.Errorf("the error is %v", err)
	}
}

// datasets knows one data set.
type datasets struct{ hub }

func (datasets) Dataset(_ context.Context, id string, selected source.Selection) (string, error) {
	return "/cache/" + id + selected.String(), nil
}

// TestJobDataset: what is selected of a data set goes to the Hub and to the reader. A
// path that has a colon itself goes first.
func TestJobDataset(t *testing.T) {
	t.Parallel()
	const key = "inferencer.testing_data_id"
	dir := t.TempDir()
	for _, name := range []string{"data", "co:lon"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]source.Source{
		"owner/name@v1:hard/test":       {Path: "/cache/owner/name@v1:hard/test", Selection: source.Selection{Config: "hard", Split: "test"}},
		filepath.Join(dir, "data:hard"): {Path: filepath.Join(dir, "data"), Selection: source.Selection{Name: "hard"}},
		filepath.Join(dir, "co:lon"):    {Path: filepath.Join(dir, "co:lon")},
	} {
		want.Key, want.Name, want.Split, want.SharedWith, want.Again = key, id, source.Test, "fine_tuner.training_data_id", true
		_, want.SharedSelection = source.Parse(id)
		var s events.Specification
		s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = id, id
		job := engine.NewJob(engine.JobConfig{
			Request: events.PhaseRequested{RunID: "r", Phase: events.Inference, Specification: s},
			Attempt: 1,
			Runtime: printer{dir},
			Store:   keys{},
			Sources: engine.Sources{Roots: []string{dir}, Hub: datasets{}},
		})
		got, err := job.Dataset(t.Context(), key, id)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", id, got, err, want)
		}
	}
}

// folders makes folders with a data file and an image.
type folders struct{ keys }

func (folders) FetchDir(_ context.Context, _ events.Reference, dir string) error {
	return errors.Join(os.MkdirAll(filepath.Join(dir, "sub.jsonl"), 0o700), os.WriteFile(filepath.Join(dir, "test.jsonl"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "a.png"), nil, 0o600), os.WriteFile(filepath.Join(filepath.Dir(dir), "out.jsonl"), nil, 0o600))
}

// TestJobDatasetWithImages: a folder that was uploaded for a data file is that file. A
// name out of an event leads nowhere else.
func TestJobDatasetWithImages(t *testing.T) {
	t.Parallel()
	const key = "fine_tuner.training_data_id"
	for name, want := range map[string]string{
		"": "", "test.jsonl": "/test.jsonl", "a.png": "", "none.jsonl": "", "sub.jsonl": "", "../out.jsonl": "", "/etc/x.jsonl": "", "./test.jsonl": "",
	} {
		dir := t.TempDir()
		job := engine.NewJob(engine.JobConfig{
			Request: events.PhaseRequested{RunID: "r", Phase: events.Finetune, Inputs: events.Inputs{Files: map[string]events.Reference{
				key: {Key: "content/0", MediaType: manifest.MediaType, Name: name},
			}}},
			Attempt: 1, Runtime: printer{dir}, Store: folders{},
		})
		got, err := job.Dataset(t.Context(), key, "mine/test.jsonl")
		if want := filepath.Join(dir, "input-fine_tuner-training_data_id") + want; err != nil || got.Path != want {
			t.Errorf("%q: %s, %v; want %s", name, got.Path, err, want)
		}
	}
}

// TestSameUpload: two names of one folder are told by the content of their uploads.
func TestSameUpload(t *testing.T) {
	t.Parallel()
	const key = "inferencer.testing_data_id"
	var s events.Specification
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "model", "data", "../here/data"
	for digest, want := range map[string]string{"same": "fine_tuner.training_data_id", "other": ""} {
		job := engine.NewJob(engine.JobConfig{
			Request: events.PhaseRequested{RunID: "r", Phase: events.Inference, Specification: s, Inputs: events.Inputs{Files: map[string]events.Reference{
				"fine_tuner.base_model_id":    {Key: "m.tar", MediaType: "application/x-tar", SHA256: digest},
				"fine_tuner.training_data_id": {Key: "d.tar", MediaType: "application/x-tar", SHA256: "same"},
				key:                           {Key: "d.tar", MediaType: "application/x-tar", SHA256: digest},
			}}},
			Attempt: 1,
			Runtime: printer{t.TempDir()},
			Store:   keys{},
		})
		got, err := job.Dataset(t.Context(), key, s.Inferencer.TestingDataID)
		if err != nil || got.SharedWith != want || got.Again != (want != "") {
			t.Errorf("%s: shared with %q, again %v, %v; want %q", digest, got.SharedWith, got.Again, err, want)
		}
	}
}

// TestPermanent: the mark and the code stay through wrapping; no error and the
// end of a context are not marked.
func TestPermanent(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such column")
	err := fmt.Errorf("row 3: %w", engine.Permanent("bad_dataset", cause))
	if e, ok := errors.AsType[*engine.JobError](err); !ok || e.Code != "bad_dataset" || !e.Permanent || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	for _, err := range []error{nil, context.Canceled, fmt.Errorf("read: %w", context.DeadlineExceeded)} {
		if got := engine.Permanent("x", err); !errors.Is(got, err) || got != nil && got.Error() != err.Error() {
			t.Errorf("%v became %v", err, got)
		}
		if _, ok := errors.AsType[*engine.JobError](engine.Permanent("x", err)); ok {
			t.Errorf("%v is marked", err)
		}
	}
}

// TestProblem: an error keeps its code through wrapping, and stays small.
func TestProblem(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such column")
	for _, c := range []struct {
		err  error
		code string
	}{
		{cause, "error"},
		{engine.Permanent("bad_dataset", cause), "bad_dataset"},
		{fmt.Errorf("row 3: %w", engine.Permanent("bad_dataset", cause)), "bad_dataset"},
		{errors.Join(cause, engine.Permanent("bad_dataset", cause)), "bad_dataset"},
		{&engine.JobError{Code: "panic", Err: cause}, "panic"},
	} {
		if p := engine.Problem(c.err); p.Code != c.code || !errors.Is(c.err, cause) {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
	if engine.Permanent("x", nil) != nil {
		t.Error("no error became one")
	}
	if engine.Problem(nil) != nil {
		t.Error("no error became a problem")
	}
	long := engine.Problem(errors.New("x" + strings.Repeat("ü", 5000)))
	if len(long.Message) > 5000 || !utf8.ValidString(long.Message) {
		t.Errorf("%d bytes, valid %v", len(long.Message), utf8.ValidString(long.Message))
	}
}
