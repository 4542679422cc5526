package main

import (
	"go/ast"
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
	"trainers":            {},
	"services/intake":     {"events", "pipeline"},
	"services/finetune":   {"events", "pipeline", "llm"},
	"services/inference":  {"events", "pipeline", "llm"},
	"services/evaluation": {"events", "pipeline"},
	"services/tracker":    {"events", "pipeline"},
	"cmd/basemodel":       {"llm"},
}

// onlyIn says which folders alone may import a module or a package.
var onlyIn = map[string][]string{
	"github.com/ThreeDotsLabs/watermill": {"pipeline/bus"},
	"github.com/nats-io/nats-server":     {"embedded"},
	// The audit checks what the bus did, so it must not read through the bus.
	// The proxies of bustest read the protocol.
	"github.com/nats-io/nats.go":     {"pipeline/bus", "cmd/tunebus/internal/audit", "embedded/bustest"},
	"github.com/synadia-io/orbit.go": {"pipeline/bus"},
	// What a stream holds leaves pipeline/bus decoded.
	module + "pipeline/bus/streams": {"pipeline/bus"},
}

// busLayers are the packages of pipeline/bus, from the bottom up. A package
// may import those of the layers below its own.
var busLayers = [][]string{
	{"codec"},
	{"conn"},
	{"streams", "topology", "wakeup"},
	{"checkpoint", "delivery", "heldslot", "history", "journal", "lease", "objectstore", "requestlog"},
	{"deadletter", "runindex", "runlister"},
}

// connNames are what packages outside pipeline/bus may use of the package
// conn: they open a connection and hand it on, the requests on it are made by
// the packages of pipeline/bus. IsUnanswered and IsDenied tell whether to try again.
var connNames = []string{"Conn", "Connect", "IsDenied", "IsNoLeader", "IsUnanswered", "Options", "ProcessName", "UnreachableError"}

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
		faults = append(faults, "it is in no layer below that of "+dir)
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

// TestBusLayersAreComplete holds that each package of pipeline/bus has a layer,
// and that the linter has the same ones.
func TestBusLayersAreComplete(t *testing.T) {
	t.Parallel()
	linter := content(t, ".golangci.yaml")
	found := map[string]bool{}
	for _, p := range packages(t) {
		if !below(p.dir, "pipeline/bus") {
			continue
		}
		found[strings.TrimPrefix(p.dir, "pipeline/bus/")] = true
		if busLayer(p.dir) < 0 {
			t.Errorf("%s is in no layer", p.dir)
		}
		if !strings.Contains(linter, `"**/`+p.dir+`/*.go"`) {
			t.Errorf("%s is in no layer of .golangci.yaml", p.dir)
		}
	}
	for _, name := range slices.Concat(busLayers...) {
		if !found[name] {
			t.Errorf("there is no package %s", name)
		}
	}
}

// TestConnIsAHandle holds that packages outside pipeline/bus make no requests
// of their own.
func TestConnIsAHandle(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		if f.isTest() || below(f.dir(), "pipeline/bus", "embedded/bustest") || !slices.Contains(f.imports(), module+"pipeline/bus/conn") {
			return
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "conn" && !slices.Contains(connNames, s.Sel.Name) {
				t.Errorf("%s uses conn.%s; only %s are for packages outside pipeline/bus", f.path, s.Sel.Name, strings.Join(connNames, ", "))
			}
			return true
		})
	})
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
