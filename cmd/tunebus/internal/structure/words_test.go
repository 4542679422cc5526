package main

import (
	"go/ast"
	"path"
	"path/filepath"
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

// wholePictures are ordinary words, which were pictures where nothing stood beside
// them. They name no file, type or function alone.
var wholePictures = map[string]string{
	"held":    "locked",
	"hold":    "lease",
	"kept":    "checkpoint",
	"late":    "result of an abandoned attempt",
	"letters": "dead letters",
	"own":     "parser of envelopes",
	"roots":   "allowed paths",
}

// prosePictures are the pictures that comments and documents do not use either.
// The other ones are ordinary words in a sentence.
var prosePictures = regexp.MustCompile(`(?i)\b(agenda|bells?|bur(?:y|ied)|desks?|doomed|doorbells?|handback|hand(?:s|ed|ing)?[ -]back|house|hush|misfits|` +
	`staffed|story|stories|town|undecided|unrest|wrecks?)\b`)

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
		for _, name := range append(declaredIn(f), strings.TrimSuffix(path.Base(f.path), ".go"), path.Base(f.dir())) {
			if term := wholePictures[strings.ToLower(name)]; term != "" {
				t.Errorf("%s: %s: say %s, or what of it", f.path, name, term)
			}
		}
	})
}

// TestSentencesUseTheFieldsTerms checks that no picture is in a comment or in a
// document. The changelog tells of old log messages and is left out.
func TestSentencesUseTheFieldsTerms(t *testing.T) {
	t.Parallel()
	check := func(path, text string) {
		for _, found := range prosePictures.FindAllString(text, -1) {
			t.Errorf("%s says %q: that is a picture, say it by the field's term", path, found)
		}
	}
	eachFile(t, func(f file) {
		for _, group := range f.syntax.Comments {
			check(f.path, group.Text())
		}
	})
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages (%v)", err)
	}
	documents := []string{"README.md", contributing, "Makefile", ".golangci.yaml", testLists}
	for _, page := range pages {
		documents = append(documents, "docs/"+filepath.Base(page))
	}
	for _, document := range documents {
		check(document, content(t, document))
	}
}
