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
)

// asks returns a value of a key that asks for something which an engine does not
// honour: no default, and none of the values that the engine honours.
func asks(t *testing.T, k structconf.Key, honoured []string) string {
	t.Helper()
	candidates := slices.Clone(k.Allowed)
	switch k.Type {
	case "true or false":
		candidates = []string{"true", "false"}
	case "whole number":
		candidates = []string{"8"}
	case "number":
		candidates = []string{"0.5"}
	case "list of texts":
		candidates = []string{`["lm_head"]`}
	case "table of numbers":
		candidates = []string{"{ q_proj = 8 }"}
	case "table of values":
		candidates = []string{"{ power = 2 }"}
	case "text":
		if len(candidates) == 0 {
			candidates = []string{"true", "lion_8bit", "wandb", "something"}
		}
	}
	for _, c := range candidates {
		if c == "" || c == k.Default || slices.Contains(honoured, c) {
			continue
		}
		if s := set(t, k, c); !slices.ContainsFunc(faultsOf(s), func(f structconf.Fault) bool { return f.Key == k.Section+"."+k.Name && f.Allowed != "" }) {
			return c
		}
	}
	t.Fatalf("%s.%s: no value asks for something", k.Section, k.Name)
	return ""
}

// set is a tree in which a key has a value.
func set(t *testing.T, k structconf.Key, value string) structconf.Tree {
	t.Helper()
	var tree structconf.Tree
	if fault := tree.Set(k.Section + "." + k.Name + "=" + value); fault != nil {
		t.Fatal(fault)
	}
	return tree
}

func faultsOf(tree structconf.Tree) structconf.Faults {
	_, faults := spec.Decode(tree)
	return faults
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
	for _, key := range []string{"fine_tuner.push_to_hub", "fine_tuner.push_always", "inferencer.hf_user_id", "evaluator.hf_user_id"} {
		out[key] = "events" // what a run publishes
	}
	out["fine_tuner.hub_model_id"] = "services/tracker/publishing"
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
func awaited() map[string]bool { return map[string]bool{"mlflow.register_as": true} }

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
		if name := filepath.Base(path); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "check.go" {
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

// engineOf is an engine of this tree, in the folder of its package.
type engineOf struct {
	phase events.Phase
	name  string
	// also are folders below that read keys for it, and further packages of others.
	also []string
	// passed are the keys that it hands on as they are.
	passed []string
}

// engines are the engines of this tree, by the folder of their package. Each engine has a
// package of its own, so that this test can tell which keys it honours.
func engines() map[string]engineOf {
	const asked = "services/inference/inputs"
	return map[string]engineOf{
		"services/finetune":              {phase: events.Finetune, name: spec.Builtin},
		"services/inference":             {phase: events.Inference, name: spec.Builtin},
		"services/inference/modelserver": {phase: events.Inference, name: spec.OpenAI, also: []string{asked}},
		"services/inference/generator": {phase: events.Inference, name: spec.Transformers, also: []string{asked}, passed: []string{
			"batch_size", "dtype", "load_in_4bit", "load_in_8bit", "max_new_tokens", "min_p", "repetition_penalty", "seed", "stop", "temperature", "top_k", "top_p", "use_cache",
		}},
		"services/evaluation": {phase: events.Evaluation, name: spec.Builtin},
	}
}

// ofCommands is the folder of the engine that has a command do the work. It gives the
// command every key, and the command says which of them it honours; the tests of the
// folder hold that the notes name the others.
const ofCommands = "services/finetune/trainer"

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
		if _, listed := engines()[folder]; !listed && folder != ofCommands || n != 1 {
			t.Errorf("%s has %d engines. Give each a package of its own, and add it to the engines of this test", folder, n)
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

// TestEveryKeyIsHonouredOrNamed: the table of the engines is true. An engine reads
// the keys that it honours by the table, and the notes or the faults name each other
// one as soon as it asks for something.
func TestEveryKeyIsHonouredOrNamed(t *testing.T) {
	t.Parallel()
	for folder, e := range engines() {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			read := readIn(t, folder, otherEngines(folder))
			for _, also := range e.also {
				maps.Copy(read, readIn(t, also, nil))
			}
			for _, k := range spec.Keys() {
				if k.Section == spec.Section(e.phase) && slices.Contains(e.passed, k.Name) {
					read[field(t, k)] = true
				}
			}
			checkKeys(t, e, read)
		})
	}
}

// otherEngines are the folders of the engines below a folder.
func otherEngines(folder string) []string {
	others := slices.DeleteFunc(slices.Collect(maps.Keys(engines())), func(other string) bool { return other == folder })
	return append(others, ofCommands)
}

// checkKeys checks the keys of an engine. read are the fields that its code reads.
func checkKeys(t *testing.T, e engineOf, read map[string]bool) {
	t.Helper()
	phase := e.phase
	if got := spec.EngineNotes(spec.Defaults(), phase, e.name); len(got) > 0 {
		t.Errorf("the defaults ask for what nobody has: %q", got)
	}
	elsewhere := readElsewhere()
	for _, k := range spec.Keys() {
		key := k.Section + "." + k.Name
		if k.Section != spec.Section(phase) || elsewhere[key] != "" || awaited()[key] {
			continue
		}
		supports := spec.Supports(k.Section, k.Name)
		i := slices.IndexFunc(supports, func(s spec.Support) bool { return s.Engine == e.name })
		if supports[i].Honoured || supports[i].Unless != "" {
			if !read[field(t, k)] {
				t.Errorf("%s: the engine does not read it, and the table of the engines says that it honours it", key)
			}
			if supports[i].Honoured {
				continue
			}
		}
		value := asks(t, k, supports[i].Values)
		tree := set(t, k, value)
		if fault := tree.Set(k.Section + ".engine=" + e.name); fault != nil {
			t.Fatal(fault)
		}
		s, faults := spec.Decode(tree) // what is missing beside it is no matter here
		refused := slices.DeleteFunc(faults, func(f structconf.Fault) bool { return f.Key != key })
		notes := spec.EngineNotes(s, phase, e.name)
		if n := len(refused) + len(notes); n != 1 || len(notes) == 1 && notes[0].Key != key {
			t.Errorf("%s = %s: the faults are %q, and the notes %q", key, value, refused, notes)
		}
		for _, honoured := range supports[i].Values {
			s, _ := spec.Decode(set(t, k, honoured))
			if notes := spec.EngineNotes(s, phase, e.name); len(notes) > 0 {
				t.Errorf("%s = %s, which the engine honours: %q", key, honoured, notes)
			}
		}
	}
}

// TestEveryOtherKeyIsRead: the keys that no engine honours are read where this
// test says.
func TestEveryOtherKeyIsRead(t *testing.T) {
	t.Parallel()
	ofEngine := map[string]bool{}
	for _, e := range engines() {
		ofEngine[spec.Section(e.phase)] = true
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
