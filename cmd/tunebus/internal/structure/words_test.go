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
	"agenda":   "queue",
	"bell":     "wake-up",
	"bells":    "wake-ups",
	"bury":     "store a dead letter",
	"desk":     "service",
	"door":     "subscription",
	"doorbell": "wake-up",
	"hands":    "worker pool",
	"room":     "folder, package or session",
	"rooms":    "folders or packages",
	"story":    "history",
	"town":     "test cluster",
}

// unnamed are the packages whose names are still being changed. TEMPORARY:
// remove each entry with the change that renames, and the table with the last.
var unnamed = map[string]bool{
	"cmd/tunebus/internal/chaos": true,
}

// word finds the words of an identifier or of a file name.
var word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// picturesIn are the pictures among the words of a name.
func picturesIn(name string) []string {
	return slices.DeleteFunc(word.FindAllString(name, -1), func(w string) bool { return pictures[strings.ToLower(w)] == "" })
}

// TestNamesAreTheFieldsTerms holds that no picture names anything: no file,
// type, function, variable or field. Comments and texts are not looked at.
func TestNamesAreTheFieldsTerms(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		if unnamed[f.dir()] {
			return
		}
		names := map[string]bool{path.Base(f.path): true}
		var look func(ast.Node) bool
		look = func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr: // what it selects is declared elsewhere
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
