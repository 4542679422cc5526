package main

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pictures are invented words that once named things of this tree, with the
// field's term for each. They do not come back as identifiers or file names.
var pictures = map[string]string{
	"agenda":    "queue",
	"bell":      "wake-up",
	"bells":     "wake-ups",
	"bury":      "store a dead letter",
	"desk":      "service",
	"doomed":    "built with failpoints",
	"door":      "subscription",
	"doorbell":  "wake-up",
	"handback":  "redrive",
	"hands":     "worker pool",
	"holder":    "owner",
	"holders":   "owners",
	"hush":      "stop the heartbeat",
	"lend":      "run in the worker pool",
	"mend":      "restart",
	"misfits":   "faults",
	"owed":      "pending",
	"patiently": "with retries",
	"people":    "clients or users",
	"planted":   "injected",
	"room":      "folder, package or session",
	"rooms":     "folders or packages",
	"staff":     "start processes",
	"staffed":   "started",
	"stories":   "histories",
	"story":     "history",
	"town":      "test deployment",
	"undecided": "pending",
	"unrest":    "unfinished work",
	"wreck":     "fault injection",
}

// word finds the words of an identifier or of a file name.
var word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// picturesIn returns the pictures among the words of a name.
func picturesIn(name string) []string {
	return slices.DeleteFunc(word.FindAllString(name, -1), func(w string) bool { return pictures[strings.ToLower(w)] == "" })
}

// TestNamesAreTheFieldsTerms checks that no picture names a file, type,
// function, variable or field. It does not read comments and texts.
func TestNamesAreTheFieldsTerms(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		names := map[string]bool{path.Base(f.path): true}
		var look func(ast.Node) bool
		look = func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr: // the test checks the selected name where it is declared
				ast.Inspect(n.X, look)
				return false
			case *ast.Ident:
				names[n.Name] = true
			}
			return true
		}
		ast.Inspect(f.syntax, look)
		for name := range names {
			for _, w := range picturesIn(name) {
				t.Errorf("%s: %s: say %s", f.path, name, pictures[strings.ToLower(w)])
			}
		}
	})
}
