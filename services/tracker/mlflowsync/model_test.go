package mlflowsync

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// stored is an artifact store of files with the given folders, by their keys.
func stored(t *testing.T, folders map[string]map[string]string) (*artifact.Store, map[string]events.Reference) {
	t.Helper()
	s, err := artifact.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // everything was verified when it was put
	refs := map[string]events.Reference{}
	for key, files := range folders {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if refs[key], err = transfer.New(s).PutDir(t.Context(), "runs/r/"+key, dir); err != nil {
			t.Fatal(err)
		}
	}
	return s, refs
}

// tunedRun is a run that tuned the model of a reference, from a base model.
func tunedRun(model events.Reference, base string, files map[string]events.Reference) projection.Snapshot {
	s := snapshotOf(events.PhaseCompleted{Phase: events.Finetune, Artifacts: []events.Artifact{{Name: events.ArtifactModel, Reference: model}}},
		events.PhaseCompleted{Phase: events.Evaluation})
	s.Run.Accepted.Specification.FineTuner.BaseModelID = base
	s.Run.Accepted.Inputs.Files = files
	return s
}

// TestModelFolder: the model is a folder of the run of its fine-tuning and a
// logged model, with what mlflow.transformers needs to find the base model, and
// large files are no second copy.
func TestModelFolder(t *testing.T) {
	t.Parallel()
	s, refs := stored(t, map[string]map[string]string{
		"adapter": {"adapter_config.json": `{"base_model_name_or_path":"base"}`, "adapter_model.safetensors": "weights", "tokenizer.json": "{}"},
		"whole":   {"config.json": "{}", "model.safetensors": "all weights", "tokenizer.json": "{}"},
		"base":    {"config.json": "{}", "model.safetensors": "base weights"},
	})
	local := events.Reference{Store: "local:here", Key: "/models/base", MediaType: refs["base"].MediaType, Size: 1, SHA256: refs["base"].SHA256}
	for name, c := range map[string]struct {
		snapshot projection.Snapshot
		says     []string
		files    []string
		card     []string
	}{
		"of the Hub": {
			tunedRun(refs["adapter"], "owner/base@v1", nil),
			[]string{"peft_adaptor: peft\n", `local_base_model_path: "owner/base"`, `source_model_name: "owner/base@v1"`},
			[]string{"peft/adapter_model.safetensors", "components/tokenizer/tokenizer.json", "README.md"},
			nil,
		},
		"of a folder here": {
			tunedRun(refs["adapter"], "base", map[string]events.Reference{baseKey: local}),
			[]string{`local_base_model_path: "/models/base"`},
			[]string{"peft/adapter_config.json"},
			nil,
		},
		"of the store": {
			tunedRun(refs["adapter"], "base", map[string]events.Reference{baseKey: refs["base"]}),
			[]string{"model_binary: model\n", "peft_adaptor: peft\n"},
			[]string{"peft/adapter_model.safetensors", "model/model.safetensors", "model/config.json"},
			nil,
		},
		"of an adapter": {
			tunedRun(refs["adapter"], "/home/ada/first", map[string]events.Reference{baseKey: refs["adapter"], baseKey + ".base": refs["base"]}),
			[]string{"model_binary: model\n"},
			[]string{"peft/adapter_config.json"},
			[]string{"An adapter (LoRA) for `base`", "The training began at the adapter `first`", "| rank | 8 |"},
		},
		"whole": {
			tunedRun(refs["whole"], "owner/base", nil),
			[]string{"model_binary: model\n", "task: text-generation\n"},
			[]string{"model/model.safetensors", "components/tokenizer/tokenizer.json"},
			nil,
		},
	} {
		root := filepath.Join(t.TempDir(), "mlruns")
		sync := New(Config{TrackingURI: "file:" + root}, s, noMetrics)
		for range 2 { // every ring writes all again
			if result, err := sync.Sync(t.Context(), c.snapshot, nil); err != nil || len(result.Gaps) > 0 {
				t.Fatalf("%s: %+v, %v", name, result, err)
			}
		}
		logged := "models"
		for _, folder := range [][]string{{"artifacts", "model"}, {logged}} {
			at := func(file string) string {
				pattern := filepath.Join(append(append([]string{root, "*", "*"}, folder...), file)...)
				if folder[0] == logged {
					pattern = filepath.Join(root, "*", "models", "m-*", "artifacts", file)
				}
				found, err := filepath.Glob(pattern)
				if err != nil || len(found) != 1 {
					t.Fatalf("%s: %s: %v, %v", name, pattern, found, err)
				}
				return found[0]
			}
			body, err := os.ReadFile(at("MLmodel"))
			if err != nil {
				t.Fatal(err)
			}
			for _, says := range c.says {
				if !strings.Contains(string(body), says) {
					t.Errorf("%s: MLmodel lacks %q\n%s", name, says, body)
				}
			}
			for _, file := range c.files {
				at(filepath.FromSlash(file))
			}
			card, err := os.ReadFile(at("README.md"))
			if err != nil {
				t.Fatal(err)
			}
			for _, says := range c.card {
				if !strings.Contains(string(card), says) {
					t.Errorf("%s: the card lacks %q\n%s", name, says, card)
				}
			}
		}
		if meta := read(t, root, "m-*", "meta.yaml"); !strings.Contains(meta, "status: 2\n") || !strings.Contains(meta, "source_run_id: ") {
			t.Errorf("%s: the logged model is\n%s", name, meta)
		}
		weights, _ := filepath.Glob(filepath.Join(root, "*", "*", "artifacts", "model", "*", "*.safetensors"))
		for _, w := range weights {
			i, err := os.Stat(w)
			if err != nil {
				t.Fatal(err)
			}
			linked := false
			kept, _ := filepath.Glob(filepath.Join(root, "*", "models", "m-*", "artifacts", "*", filepath.Base(w)))
			for _, k := range kept {
				other, err := os.Stat(k)
				linked = linked || err == nil && os.SameFile(i, other)
			}
			if !linked {
				t.Errorf("%s: %s is a second copy", name, w)
			}
		}
	}
}

// countingTarget counts the bytes of weights that are sent to it.
type countingTarget struct {
	mlflow.Target

	shows, without bool // logged models below their runs; none at all
	sent           map[string]int64
}

func (c countingTarget) ShowsModels() bool { return c.shows }

func (c countingTarget) count(kind string, a mlflow.Artifact) {
	if strings.HasSuffix(a.Path, ".safetensors") {
		c.sent[kind] += a.Size
	}
}

func (c countingTarget) PutArtifact(ctx context.Context, id string, a mlflow.Artifact) error {
	c.count("run", a)
	return c.Target.PutArtifact(ctx, id, a)
}

func (c countingTarget) PutModelFile(ctx context.Context, id string, a mlflow.Artifact) error {
	c.count("model", a)
	return c.Target.PutModelFile(ctx, id, a)
}

func (c countingTarget) EnsureModel(ctx context.Context, experiment, id string, m mlflow.LoggedModel) (string, bool, error) {
	if c.without {
		return "", false, mlflow.ErrNoModels
	}
	return c.Target.EnsureModel(ctx, experiment, id, m)
}

// TestWeightsAreSentOnce to a server, however often the run is written: as a logged
// model, or to an older server as a folder of the run.
func TestWeightsAreSentOnce(t *testing.T) {
	t.Parallel()
	s, refs := stored(t, map[string]map[string]string{"whole": {"config.json": "{}", "model.safetensors": "all weights"}})
	for name, c := range map[string]struct {
		shows, without bool
		want           map[string]int64
	}{
		"shows logged models": {true, false, map[string]int64{"model": 11}},
		"has no such models":  {true, true, map[string]int64{"run": 11}},
		"a folder":            {false, false, map[string]int64{"model": 11, "run": 11}}, // by hard links
	} {
		sent := map[string]int64{}
		root := "file:" + filepath.Join(t.TempDir(), "mlruns")
		open := func(_ string, opt restapi.Options) (mlflow.Target, error) {
			target, err := Open(root, opt)
			return countingTarget{target, c.shows, c.without, sent}, err
		}
		sync := New(Config{TrackingURI: "http://mlflow.test", Open: open}, s, noMetrics)
		for range 3 {
			if _, err := sync.Sync(t.Context(), tunedRun(refs["whole"], "owner/base", nil), nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if !maps.Equal(sent, c.want) {
			t.Errorf("%s: sent %v bytes, want %v", name, sent, c.want)
		}
	}
}

// TestRegister: a run whose gates are met is a version of the registered model,
// once; of any other one a tag says why it is not.
func TestRegister(t *testing.T) {
	t.Parallel()
	s, refs := stored(t, map[string]map[string]string{"whole": {"config.json": "{}", "model.safetensors": "all weights"}})
	for name, c := range map[string]struct {
		as    string
		gates []events.Gate
		end   events.Conclusion
		tag   string // why not; empty: it is registered
	}{
		"gates met":  {"harbour book", []events.Gate{{Metric: "exact_match", Met: true}}, events.Success, ""},
		"no gates":   {"harbour book", nil, events.Success, ""},
		"missed":     {"harbour book", []events.Gate{{Metric: "exact_match"}}, events.Success, "gates are missed: exact_match"},
		"failed":     {"harbour book", nil, events.Failure, "the run did not succeed"},
		"a bad name": {"a/b", nil, events.Success, "is no name of a registered model"},
	} {
		root := filepath.Join(t.TempDir(), "mlruns")
		snapshot := tunedRun(refs["whole"], "owner/base", nil)
		snapshot.Run.Accepted.Specification.MLflow.RegisterAs = c.as
		snapshot.Run.Completed = &events.PipelineCompleted{Conclusion: c.end, Gates: c.gates, EndedAt: began}
		sync := New(Config{TrackingURI: "file:" + root}, s, noMetrics)
		for range 2 {
			result, err := sync.Sync(t.Context(), snapshot, nil)
			if err != nil || (c.tag == "") != (result.Links[linkRegistered] == "models:/harbour book/1") {
				t.Errorf("%s: %+v, %v", name, result, err)
			}
		}
		versions, err := filepath.Glob(filepath.Join(root, "models", "*", "version-*", "meta.yaml"))
		alias, _ := os.ReadFile(filepath.Join(root, "models", c.as, "aliases", Alias))
		if err != nil || (c.tag == "") != (len(versions) == 1) || (c.tag == "") != (string(alias) == "1") {
			t.Errorf("%s: versions %v, alias %q, %v", name, versions, alias, err)
		}
		if got := read(t, root, "tags", "tunebus.not_registered"); !strings.Contains(got, c.tag) || (got == "") != (c.tag == "") {
			t.Errorf("%s: the tag says %q, want %q", name, got, c.tag)
		}
	}
}

// TestRegisterRepeatedRun: a run that repeats the evaluation of another one registers
// the model that the other one tuned, as the only version of it.
func TestRegisterRepeatedRun(t *testing.T) {
	t.Parallel()
	s, refs := stored(t, map[string]map[string]string{"whole": {"config.json": "{}", "model.safetensors": "all weights"}})
	root := filepath.Join(t.TempDir(), "mlruns")
	sync := New(Config{TrackingURI: "file:" + root}, s, noMetrics)
	first := tunedRun(refs["whole"], "owner/base", nil)
	first.Run.Accepted.Specification.MLflow.RegisterAs = "harbour"
	first.Run.Completed = &events.PipelineCompleted{Conclusion: events.Success, Gates: []events.Gate{{Metric: "chrf"}}, EndedAt: began}
	if _, err := sync.Sync(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
	repeat := func(id, of string, model *events.Reference) string {
		again := snapshotOf(events.PhaseCompleted{Phase: events.Evaluation})
		again.Run.ID = id
		again.Run.Accepted.Lineage.RerunOf, again.Run.Accepted.Inputs.Model = of, model
		again.Run.Accepted.Specification.MLflow.RegisterAs = "harbour"
		again.Run.Completed = &events.PipelineCompleted{Conclusion: events.Success, Gates: []events.Gate{{Metric: "chrf", Met: true}}, EndedAt: began}
		result, err := sync.Sync(t.Context(), again, nil)
		if err != nil {
			t.Fatal(err)
		}
		return result.Links[linkRegistered]
	}
	key := "runs/" + first.Run.ID + "/finetune/1/model/manifest.json"
	for name, got := range map[string]string{
		"of the run":        repeat("second", first.Run.ID, nil),
		"once more":         repeat("second", first.Run.ID, nil),
		"of its repetition": repeat("third", "second", &events.Reference{Key: key}),
	} {
		if got != "models:/harbour/1" {
			t.Errorf("%s: registered as %q", name, got)
		}
	}
	if got := repeat("fourth", "nobody", nil); got != "" {
		t.Errorf("the model of a run that nobody knows is %q", got)
	}
	versions, err := filepath.Glob(filepath.Join(root, "models", "harbour", "version-*"))
	if err != nil || len(versions) != 1 {
		t.Errorf("versions %v, %v", versions, err)
	}
}
