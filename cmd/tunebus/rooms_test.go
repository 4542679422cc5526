package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tunebus/tunebus/"

// rooms says which of our rooms each room may import, and which outside
// modules belong to one room alone.
func rooms() (ours map[string][]string, alone map[string]string) {
	base := []string{"events", "pipeline"}
	return map[string][]string{
			"events": nil, "pipeline": {"events"}, "embedded": base, "llm": nil,
			"services/intake": base, "services/evaluation": base, "services/tracker": base,
			"services/finetune": {"events", "pipeline", "llm"}, "services/inference": {"events", "pipeline", "llm"},
			"cmd/basemodel": {"llm"},
		}, map[string]string{
			"github.com/nats-io/nats.go": "pipeline/bus", "github.com/ThreeDotsLabs/watermill": "pipeline/bus",
			"github.com/synadia-io/orbit.go": "pipeline/bus", "github.com/nats-io/nats-server": "embedded", "github.com/gomlx": "llm",
		}
}

// eachFile calls do with every Go file of the repository and what it
// imports.
func eachFile(t *testing.T, do func(path, name string, imports []string, hasComment bool)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return errorOrSkip(err, path, root)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range f.Imports {
			imports = append(imports, strings.Trim(i.Path.Value, `"`))
		}
		rel, err := filepath.Rel(root, path)
		do(filepath.ToSlash(rel), f.Name.Name, imports, f.Doc != nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func errorOrSkip(err error, path, root string) error {
	if err != nil || path == root {
		return err
	}
	return filepath.SkipDir
}

// TestRoomsImportWhatTheyMay holds the arrows between the rooms.
func TestRoomsImportWhatTheyMay(t *testing.T) {
	t.Parallel()
	ours, alone := rooms()
	eachFile(t, func(path, _ string, imports []string, _ bool) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range imports {
			for outside, room := range alone {
				// What the audit checks must not read for it.
				audits := outside == "github.com/nats-io/nats.go" && strings.HasPrefix(path, "cmd/tunebus/internal/audit/")
				if strings.HasPrefix(i, outside) && !strings.HasPrefix(path, room+"/") && !audits {
					t.Errorf("%s imports %s, which belongs to %s alone", path, i, room)
				}
			}
			if !strings.HasPrefix(i, module) {
				continue
			}
			for room, may := range ours {
				own := func(r string) bool { return strings.HasPrefix(strings.TrimPrefix(i, module)+"/", r+"/") }
				if strings.HasPrefix(path, room+"/") && !own(room) && !slices.ContainsFunc(may, own) {
					t.Errorf("%s imports %s; %s may import %v", path, i, room, may)
				}
			}
		}
	})
}

// TestProgramsLinkTheClouds holds that every program that runs a service can
// open each kind of store, and that nothing else pays for it.
func TestProgramsLinkTheClouds(t *testing.T) {
	t.Parallel()
	programs := 0
	eachFile(t, func(path, name string, imports []string, _ bool) {
		program := name == "main" && filepath.Base(path) == "main.go" && (strings.HasPrefix(path, "cmd/tunebus/") || strings.HasPrefix(path, "services/"))
		links := slices.Contains(imports, module+"pipeline/cloudblob")
		if program {
			programs++
		}
		if links != program && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s: it is a program: %v; it links the clouds: %v", path, program, links)
		}
	})
	if programs != 6 {
		t.Errorf("%d programs, want 6", programs)
	}
}

// TestPackagesHaveOneComment holds that each package says what it is, once.
func TestPackagesHaveOneComment(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	eachFile(t, func(path, name string, _ []string, hasComment bool) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path) + " " + name
		if _, ok := comments[dir]; !ok {
			comments[dir] = 0
		}
		if hasComment {
			comments[dir]++
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d comments", dir, n)
		}
	}
}

// TestModulesAreListedOnce holds that make and go.work know every module, and
// that all of them ask for one version of Go.
func TestModulesAreListedOnce(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	read := func(name string) string {
		body, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`)
	var modules []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return errorOrSkip(err, path, root)
		}
		if d.Name() != "go.mod" {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		modules = append(modules, filepath.ToSlash(rel))
		if got, want := version.FindString(read(filepath.Join(rel, "go.mod"))), version.FindString(read("go.work")); got != want {
			t.Errorf("%s asks for %s, go.work for %s", rel, got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	made := strings.Fields(regexp.MustCompile(`(?m)^MODULES := (.*)$`).FindStringSubmatch(read("Makefile"))[1])
	var used []string
	for _, m := range regexp.MustCompile(`(?m)^\t\./(\S+)$`).FindAllStringSubmatch(read("go.work"), -1) {
		used = append(used, m[1])
	}
	slices.Sort(modules)
	for name, list := range map[string][]string{"the Makefile": made, "go.work": used} {
		slices.Sort(list)
		if !slices.Equal(list, modules) {
			t.Errorf("%s lists %v; there are %v", name, list, modules)
		}
	}
}
