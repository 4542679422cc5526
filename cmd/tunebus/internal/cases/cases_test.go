package cases_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

// recipe is the training of which qa is the control: it learns its four rows by
// heart.
var recipe = map[string]any{
	"fine_tuner.full_finetuning": true, "fine_tuner.epochs": 40, "fine_tuner.learning_rate": 0.003, "fine_tuner.warmup_steps": 0,
	"fine_tuner.device_train_batch_size": 4, "fine_tuner.grad_accumulation": 1, "fine_tuner.save_steps": 0,
	"fine_tuner.base_model_id": "base", "fine_tuner.max_sequence_length": 512,
	"inferencer.temperature": 0, "inferencer.max_new_tokens": 64,
}

// TestCases runs the program on each folder.
func TestCases(t *testing.T) {
	t.Parallel()
	for name, w := range readCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, r := range w.Runs {
				dir := setUp(t, name, r)
				for _, f := range r.faults(r.try(t, dir)) {
					t.Errorf("run %d: %s", i+1, f)
				}
			}
		})
	}
}

// TestStubsFail: a program that refuses everything, and one that trains on
// anything, fail more than half of the folders.
func TestStubsFail(t *testing.T) {
	t.Parallel()
	cases := readCases(t)
	for name, stub := range map[string]func(r run) outcome{
		"refuses everything": func(run) outcome {
			return outcome{exit: 2, screen: "train.jsonl, line 1: this cannot be read; set fine_tuner.training_data_id"}
		},
		"trains on anything": func(r run) outcome {
			row := trained{Text: "a", IDs: []int32{1}, Counted: []int{0}}
			return outcome{started: true, rows: slices.Repeat([]trained{row}, len(r.Rows)), scores: map[string]float64{"exact_match": 1, "bleu_score": 1}}
		},
	} {
		failed := 0
		for _, w := range cases {
			if slices.ContainsFunc(w.Runs, func(r run) bool { return len(r.faults(stub(r))) > 0 }) {
				failed++
			}
		}
		t.Logf("a program that %s fails %d of %d folders", name, failed, len(cases))
		if 2*failed <= len(cases) {
			t.Errorf("a program that %s fails %d of %d folders only", name, failed, len(cases))
		}
	}
}

// setUp makes a folder with the files of a case and the base model.
func setUp(t *testing.T, name string, r run) string {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(clitest.Root(), "configs", "quickstart", "base-model")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	if r.Template != "" {
		if err := os.Rename(filepath.Join(dir, r.Template), filepath.Join(dir, "base", "chat_template.jinja")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// specification is the recipe with the keys of a run.
func (r run) specification() map[string]map[string]any {
	keys := maps.Clone(recipe)
	maps.Copy(keys, r.Keys)
	out := map[string]map[string]any{}
	for key, v := range keys {
		section, name, _ := strings.Cut(key, ".")
		if out[section] == nil {
			out[section] = map[string]any{}
		}
		out[section][name] = v
	}
	tested := r.Keys["inferencer.testing_data_id"] != nil
	out["pipeline"] = map[string]any{
		"enable_finetuning": r.What == "train",
		"enable_inference":  r.What != "answers" && tested,
		"enable_evaluation": r.What == "answers" || tested,
	}
	return out
}

// write writes the specification as TOML.
func (r run) write(t *testing.T, path string) {
	t.Helper()
	var b strings.Builder
	for section, keys := range r.specification() {
		fmt.Fprintf(&b, "[%s]\n", section)
		for name, v := range keys {
			value, _ := json.Marshal(v) // texts, numbers, booleans and lists are written alike in TOML
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// try runs the program.
func (r run) try(t *testing.T, dir string) (got outcome) {
	t.Helper()
	config := filepath.Join(dir, "case.toml")
	r.write(t, config)
	work := t.TempDir()
	args := append([]string{"run", "--json", "--run-id", "case", "--config", config}, clitest.Folders(work)...)
	if r.What == "answers" {
		args = append(args, "--predictions", filepath.Join(dir, r.File))
	}
	var out string
	got.exit, out, got.screen = clitest.Run(t, args...)
	got.started = strings.Contains(got.screen, " started")
	got.hidden = work
	if got.exit != 0 {
		return got
	}
	var end struct {
		Scores   map[string]float64
		Coverage map[string]events.Coverage
	}
	if err := json.Unmarshal([]byte(out), &end); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got.scores, got.coverage = end.Scores, map[string]float64{}
	for metric, c := range end.Coverage {
		got.coverage[metric] = c.Share()
	}
	var shown struct {
		Phases []struct{ Datasets []map[string]any }
	}
	clitest.Result(t, &shown, "show", "case", "--data", work+"/data")
	got.counts = map[string]int64{}
	for _, p := range shown.Phases {
		for _, d := range p.Datasets[:min(len(p.Datasets), 1)] {
			for name, v := range d {
				if n, ok := v.(float64); ok && len(got.counts) < len(d) {
					got.counts[name] = int64(n)
				}
			}
		}
		if len(got.counts) > 0 {
			break
		}
	}
	got.references = references(t, filepath.Join(work, "data/artifacts/runs/case/inference/1", prediction.FileName))
	if r.What == "train" {
		got.rows, got.rowsErr = r.prepare(t.Context(), dir)
	}
	return got
}

// references are those of each prediction that has several.
func references(t *testing.T, path string) (out [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for p, err := range prediction.Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.References) > 0 {
			out = append(out, p.References)
		}
	}
	return out
}

// prepare prepares the rows as the engine does, on a day that never changes.
func (r run) prepare(ctx context.Context, dir string) ([]trained, error) {
	raw, err := json.Marshal(r.specification())
	if err != nil {
		return nil, err
	}
	s, faults := spec.Over(spec.Defaults(), raw)
	if len(faults) > 0 {
		return nil, fmt.Errorf("%+v", faults)
	}
	tok, err := token.Open(filepath.Join(dir, "base"))
	if err != nil {
		return nil, err
	}
	f := s.FineTuner
	set, err := dataset.Open(ctx, source.Source{Path: filepath.Join(dir, f.TrainingDataID), Key: "fine_tuner.training_data_id", Name: f.TrainingDataID, Split: source.Train}, inputs.Want(f))
	if err != nil {
		return nil, err
	}
	var out []trained
	p := prepare.New(tok, prepare.Config{FineTuner: f, Now: time.Date(2024, 3, 5, 9, 20, 0, 0, time.UTC)})
	for row, err := range p.Rows(ctx, set) {
		if err != nil {
			return nil, err
		}
		for _, e := range row.Examples {
			one := trained{Text: tok.Decode(e.IDs, false), IDs: e.IDs}
			for i, c := range e.Count {
				if c {
					one.Counted = append(one.Counted, i)
				}
			}
			out = append(out, one)
		}
	}
	return out, nil
}
