package main

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// The import table. golangci-lint holds the same rules while one types
// (.golangci.yaml); change both.

// mayImport says which folders of this repository the packages below a folder
// may import, beside those below the folder itself. Folders that are not
// listed may import everything. Tests may, too.
var mayImport = map[string][]string{
	"events":              {},
	"pipeline":            {"events"},
	"embedded":            {"events", "pipeline"},
	"llm":                 {},
	"services/intake":     {"events", "pipeline"},
	"services/finetune":   {"events", "pipeline", "llm"},
	"services/inference":  {"events", "pipeline", "llm"},
	"services/evaluation": {"events", "pipeline"},
	"services/tracker":    {"events", "pipeline"},
	"cmd/basemodel":       {"llm"},
}

// onlyIn says which folders alone may import a module of others.
var onlyIn = map[string][]string{
	"github.com/ThreeDotsLabs/watermill": {"pipeline/bus"},
	"github.com/gomlx":                   {"llm"},
	"github.com/nats-io/nats-server":     {"embedded"},
	// The audit checks what the bus did, so it must not read through the bus.
	"github.com/nats-io/nats.go":     {"pipeline/bus", "cmd/tunebus/internal/audit"},
	"github.com/synadia-io/orbit.go": {"pipeline/bus"},
}

// busLayers are the packages of pipeline/bus, from the bottom up. A package
// may import those of the layers below its own.
var busLayers = [][]string{
	{"conn"},
	{"codec", "stream"},
	{"topology", "journal", "history", "runindex", "requestlog", "checkpoint", "lease", "wakeup", "objectstore", "delivery", "deadletter"},
}

// below reports whether a folder is one of those, or below one of them.
func below(dir string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return dir == f || strings.HasPrefix(dir, f+"/") })
}

// importFaults are the rules that a package breaks with an import.
func importFaults(dir, imported string) (faults []string) {
	for other, folders := range onlyIn {
		if (imported == other || strings.HasPrefix(imported, other+"/")) && !below(dir, folders...) {
			faults = append(faults, "only "+strings.Join(folders, ", ")+" may import it")
		}
	}
	target, ours := strings.CutPrefix(imported, module)
	if !ours {
		return faults
	}
	for folder, allowed := range mayImport {
		if below(dir, folder) && !below(target, folder) && !below(target, allowed...) {
			faults = append(faults, folder+" may import "+strings.Join(allowed, ", "))
		}
	}
	if from, to := busLayer(dir), busLayer(target); from >= 0 && to >= from {
		faults = append(faults, "it is no layer below")
	}
	return faults
}

// busLayer is the layer of a package; -1 for one that is in none.
func busLayer(dir string) int {
	name, ok := strings.CutPrefix(dir, "pipeline/bus/")
	if !ok {
		return -1
	}
	return slices.IndexFunc(busLayers, func(layer []string) bool { return below(name, layer...) })
}

// TestImportTable holds the direction of the imports.
func TestImportTable(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		if f.isTest() {
			return
		}
		for _, imported := range f.imports() {
			for _, fault := range importFaults(f.dir(), imported) {
				t.Errorf("%s imports %s: %s", f.path, imported, fault)
			}
		}
	})
}

// TestImportFaults holds what the table forbids.
func TestImportFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir, imported string
		faults        int
	}{
		{"pipeline/bus/journal", "github.com/nats-io/nats.go/jetstream", 0},
		{"pipeline/busy", "github.com/nats-io/nats.go", 1},
		{"services/intake", "github.com/nats-io/nats.go", 1},
		{"services/intake", module + "services/tracker", 1},
		{"services/intake/cmd/tunebus-intake", module + "services/intake", 0},
		{"pipeline/spec", module + "events", 0},
		{"pipeline/spec", module + "llm", 1},
		{"cmd/tunebus/internal/cli", module + "services/tracker", 0},
		{"pipeline/bus/journal", module + "pipeline/bus/conn", 0},
		{"pipeline/bus/conn", module + "pipeline/bus/journal", 1},
		{"pipeline/worker", module + "pipeline/bus/journal", 0},
	} {
		if got := importFaults(c.dir, c.imported); len(got) != c.faults {
			t.Errorf("%s imports %s: %q, want %d faults", c.dir, c.imported, got, c.faults)
		}
	}
}

// TestProgramsLinkTheCloudDrivers holds that every program that runs a service
// can open each kind of store, and that nothing else links the drivers.
func TestProgramsLinkTheCloudDrivers(t *testing.T) {
	t.Parallel()
	programs := 0
	eachFile(t, func(f file) {
		if f.isTest() {
			return
		}
		program := f.syntax.Name.Name == "main" && path.Base(f.path) == "main.go" && (f.dir() == "cmd/tunebus" || below(f.dir(), "services"))
		if program {
			programs++
		}
		if links := slices.Contains(f.imports(), module+"pipeline/cloudblob"); links != program {
			t.Errorf("%s: it is a program: %v; it links the cloud drivers: %v", f.path, program, links)
		}
	})
	if programs != 6 {
		t.Errorf("%d programs, want 6", programs)
	}
}
