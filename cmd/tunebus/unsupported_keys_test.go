package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
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

// readElsewhere says which folder honours the keys that are not the engine's of
// their section.
func readElsewhere() map[string]string {
	out := map[string]string{
		"inferencer.model_id": "services/inference", "mlflow.run_name": "pipeline/spec", "mlflow.run_name_prefix": "pipeline/spec", "mlflow.run_name_suffix": "pipeline/spec",
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

// awaited are the keys that are part of the contract before an engine honours
// them.
func awaited() map[string]bool {
	out := map[string]bool{"evaluator.answer_column": true, "evaluator.strip_reasoning": true, "mlflow.register_as": true, "fine_tuner.train_on": true}
	for _, section := range []string{"fine_tuner", "inferencer"} {
		for _, name := range []string{"data_format", "data_encoding", "image_column", "chat_template_kwargs"} {
			out[section+"."+name] = true
		}
	}
	return out
}

// readIn are the names of the fields that the Go files of a folder read, but
// for where notes are made and values checked. The folders in without are left
// out.
func readIn(t *testing.T, folder string, without []string) map[string]bool {
	t.Helper()
	var files []string
	err := filepath.WalkDir(inTree(folder), func(path string, _ fs.DirEntry, err error) error {
		if path != inTree(folder) && slices.ContainsFunc(without, func(other string) bool { return path == inTree(other) }) {
			return fs.SkipDir
		}
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

// keyedEngine is an engine of a phase. It has a package of its own, so that this
// test can tell which keys it honours.
type keyedEngine struct {
	section string
	// notes are the engine's notes on its section, without those that need data.
	notes func(events.Specification) []string
}

// engines are all engines, by the folder of their package.
func engines() map[string]keyedEngine {
	return map[string]keyedEngine{
		"services/finetune":   {"fine_tuner", func(s events.Specification) []string { return finetune.Notes(s.FineTuner) }},
		"services/inference":  {"inferencer", func(s events.Specification) []string { return inference.Notes(s.Inferencer) }},
		"services/evaluation": {"evaluator", func(s events.Specification) []string { return evaluation.Notes(s.Evaluator) }},
	}
}

// inTree is the path of a folder of the repository.
func inTree(folder string) string { return filepath.Join("..", "..", filepath.FromSlash(folder)) }

// isEngine reports whether a declaration is the method of [engine.Engine].
func isEngine(d ast.Decl) bool {
	f, ok := d.(*ast.FuncDecl)
	if !ok || f.Recv == nil || f.Name.Name != "Run" || f.Type.Params.NumFields() != 2 {
		return false
	}
	params := f.Type.Params.List
	star, ok := params[len(params)-1].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	s, ok := star.X.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Job"
}

// TestEveryEngineIsListed: each engine of the services is in the table of this
// test, alone in its package.
func TestEveryEngineIsListed(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	err := filepath.WalkDir(inTree("services"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if isEngine(d) {
				folder, _ := filepath.Rel(inTree("."), filepath.Dir(path))
				found[filepath.ToSlash(folder)]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, n := range found {
		if _, listed := engines()[folder]; !listed || n != 1 {
			t.Errorf("%s has %d engines. Give each a package of its own, with Notes, and add it to the engines of this test", folder, n)
		}
	}
	for folder := range engines() {
		if found[folder] == 0 {
			t.Errorf("%s has no engine", folder)
		}
	}
}

// TestEveryEngineHasAQueue: a specification may name an engine if and only if
// its server gets a queue of that name.
func TestEveryEngineHasAQueue(t *testing.T) {
	t.Parallel()
	queues := topology.DefaultQueues()
	for _, p := range events.Phases() {
		for _, k := range spec.Keys() {
			if k.Section != spec.Section(p) || k.Name != "engine" {
				continue
			}
			allowed, declared := slices.Sorted(slices.Values(k.Allowed)), slices.Sorted(slices.Values(queues[p]))
			if len(allowed) == 0 || !slices.Equal(allowed, declared) {
				t.Errorf("%s.engine allows %q, and topology.DefaultQueues has %q", k.Section, allowed, declared)
			}
		}
	}
}

// TestEveryKeyIsHonouredOrNamed: no engine ignores a key of its section in
// silence. It reads the key, or its notes name it once it asks for something.
func TestEveryKeyIsHonouredOrNamed(t *testing.T) {
	t.Parallel()
	all := engines()
	for folder, e := range all {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			e.checkKeys(t, readIn(t, folder, slices.Collect(maps.Keys(all))))
		})
	}
	known := map[string]bool{}
	for _, k := range spec.Keys() {
		known[k.Section+"."+k.Name] = true
	}
	for key := range asksFor() {
		if !known[key] {
			t.Errorf("%s is no key of the specification", key)
		}
	}
}

// checkKeys checks the keys of an engine's section. read are the fields that its
// code reads.
func (e keyedEngine) checkKeys(t *testing.T, read map[string]bool) {
	t.Helper()
	if got := e.notes(spec.Defaults()); len(got) > 0 {
		t.Errorf("the defaults ask for what nobody has: %q", got)
	}
	asks, elsewhere := asksFor(), readElsewhere()
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		if k.Section != e.section || elsewhere[key] != "" || awaited()[key] {
			continue
		}
		value, ok := asks[key]
		if !ok {
			if !read[field(t, k)] {
				t.Errorf("%s: the engine does not read it, and no note names it", key)
			}
			continue
		}
		var tree structconf.Tree
		if fault := tree.Set(key + "=" + value); fault != nil {
			t.Fatal(fault)
		}
		s, _ := spec.Decode(tree) // what is missing beside it is no matter here
		if got := e.notes(s); len(got) != 1 || !named(got[0], k) {
			t.Errorf("%s = %s: the notes are %q", key, value, got)
		}
	}
}

// TestEveryOtherKeyIsRead: the keys that no engine honours are read where this
// test says.
func TestEveryOtherKeyIsRead(t *testing.T) {
	t.Parallel()
	ofEngine := map[string]bool{}
	for _, e := range engines() {
		ofEngine[e.section] = true
	}
	elsewhere := readElsewhere()
	read := map[string]map[string]bool{}
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		folder := elsewhere[key]
		switch {
		case folder == "" && ofEngine[k.Section], awaited()[key]:
			continue
		case folder == "" && k.Section == "mlflow":
			folder = "services/tracker"
		case folder == "":
			t.Errorf("%s: who honours it?", key)
			continue
		}
		if read[folder] == nil {
			read[folder] = readIn(t, folder, nil)
		}
		if !read[folder][field(t, k)] {
			t.Errorf("%s: nothing in %s reads it", key, folder)
		}
	}
}

// named reports whether a note names a key, or the kind of keys that it is
// one of.
func named(note string, k structconf.Key) bool {
	kind := "finetune_*_" + k.Name[strings.LastIndexByte(k.Name, '_')+1:]
	return strings.HasPrefix(note, k.Section+".") && (strings.Contains(note, k.Name) || strings.Contains(note, kind))
}
