package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
)

// asksFor gives each key that no engine honours in full a value that asks for
// something.
func asksFor() map[string]string {
	return map[string]string{
		"fine_tuner.is_multimodel": "true", "fine_tuner.finetune_vision_layers": "true", "fine_tuner.finetune_language_layers": "true",
		"fine_tuner.finetune_attention_modules": "true", "fine_tuner.finetune_mlp_modules": "true",
		"fine_tuner.load_in_4bit": "true", "fine_tuner.load_in_8bit": "true", "fine_tuner.bias": "all", "fine_tuner.dataset_num_proc": "8",
		"fine_tuner.wandb_project_name": "boats", "fine_tuner.optimizer": "paged_adamw_8bit", "fine_tuner.push_to_hub": "true", "fine_tuner.report_to": "wandb",
		"fine_tuner.packing": "true", "fine_tuner.use_gradient_checkpointing": "unsloth", "fine_tuner.use_flash_attention": "true", "fine_tuner.loftq_config": "config.json",
		"fine_tuner.dtype": "bfloat16", // honoured where the whole model is written
		"inferencer.dtype": "float16", "inferencer.load_in_4bit": "true", "inferencer.load_in_8bit": "true", "inferencer.use_cache": "false", "inferencer.hf_user_id": "ann",
		"evaluator.hf_user_id": "ann",
	}
}

// readElsewhere says which folder honours the keys that are not those of the
// section's own service.
func readElsewhere() map[string]string {
	out := map[string]string{
		"inferencer.model_id": "services/inference", "mlflow.run_name": "services/intake", "mlflow.run_name_prefix": "services/intake", "mlflow.run_name_suffix": "services/intake",
		"pipeline.enable_finetuning": "pipeline/spec", "pipeline.enable_inference": "pipeline/spec", "pipeline.enable_evaluation": "pipeline/spec",
		"pipeline.stop_after_finetuning": "pipeline/spec", "pipeline.stop_after_inference": "pipeline/spec", "pipeline.on_finetuning_failure": "pipeline/spec",
		"pipeline.max_tries": "pipeline/retry", "pipeline.max_crashes": "pipeline/retry", "pipeline.backoff": "events", "pipeline.deadline": "services/intake",
	}
	for _, section := range []string{"fine_tuner", "inferencer", "evaluator"} {
		out[section+".engine"], out[section+".queue"], out[section+".timeout"] = "pipeline/spec", "pipeline/spec", "events"
		for _, name := range []string{"run_name", "run_name_prefix", "run_name_suffix"} {
			out[section+"."+name] = "services/tracker"
		}
	}
	return out
}

// readIn are the names of the fields that the Go files of a folder read, but
// for where notes are made and values checked.
func readIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
		files = append(files, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, path := range files {
		if name := filepath.Base(path); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "unsupported.go" || name == "check.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				read[s.Sel.Name] = true
			}
			return true
		})
	}
	return read
}

// field is the name of the Go field that holds a key.
func field(t *testing.T, k structconf.Key) string {
	t.Helper()
	sections := reflect.TypeFor[events.Specification]()
	for i := range sections.NumField() {
		section := sections.Field(i)
		for j := range section.Type.NumField() {
			f := section.Type.Field(j)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if section.Tag.Get("json") == k.Section && name == k.Name {
				return f.Name
			}
		}
	}
	t.Fatalf("no field has %s.%s", k.Section, k.Name)
	return ""
}

// notesOf are the notes of all engines that need no data.
func notesOf(s events.Specification) []string {
	return slices.Concat(finetune.Notes(s.FineTuner), inference.Notes(s.Inferencer), evaluation.Notes(s.Evaluator))
}

// TestEveryKeyIsHonouredOrNamed: no key of the specification is ignored in
// silence. Each is read by whoever honours it, or a note names it once it asks
// for something.
func TestEveryKeyIsHonouredOrNamed(t *testing.T) {
	t.Parallel()
	if got := notesOf(spec.Defaults()); len(got) > 0 {
		t.Errorf("the defaults ask for what nobody has: %q", got)
	}
	own := map[string]string{"fine_tuner": "services/finetune", "inferencer": "services/inference", "evaluator": "services/evaluation", "mlflow": "services/tracker"}
	asks, elsewhere := asksFor(), readElsewhere()
	read := map[string]map[string]bool{}
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		if value, ok := asks[key]; ok {
			delete(asks, key)
			var tree structconf.Tree
			if fault := tree.Set(key + "=" + value); fault != nil {
				t.Fatal(fault)
			}
			s, _ := spec.Decode(tree) // what is missing beside it is no matter here
			if got := notesOf(s); len(got) != 1 || !named(got[0], k) {
				t.Errorf("%s = %s: the notes are %q", key, value, got)
			}
			continue
		}
		folder, ok := elsewhere[key]
		if !ok {
			folder = own[k.Section]
		}
		if folder == "" {
			t.Errorf("%s: who honours it?", key)
			continue
		}
		if read[folder] == nil {
			read[folder] = readIn(t, folder)
		}
		if !read[folder][field(t, k)] {
			t.Errorf("%s: nothing in %s reads it, and no note names it", key, folder)
		}
	}
	for key := range asks {
		t.Errorf("%s is no key of the specification", key)
	}
}

// named reports whether a note names a key, or the kind of keys that it is
// one of.
func named(note string, k structconf.Key) bool {
	kind := "finetune_*_" + k.Name[strings.LastIndexByte(k.Name, '_')+1:]
	return strings.HasPrefix(note, k.Section+".") && (strings.Contains(note, k.Name) || strings.Contains(note, kind))
}
