package main

import (
	"bufio"
	"go/build/constraint"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testLists is the file that says which packages are tested with the race
// detector and which without.
const testLists = ".ci/tests"

// kinds are the lists of that file.
var kinds = []string{"race", "plain", "uncached"}

// entry is a line of the file.
type entry struct {
	kind, pattern string
	matches       int
}

// matchesPackage reports whether a package is one that the entry's pattern,
// which is one of the Go tool, stands for.
func (e entry) matchesPackage(dir string) bool {
	folder, all := strings.CutSuffix(e.pattern, "/...")
	return dir == folder || all && below(dir, folder)
}

func testEntries(t *testing.T) (entries []*entry) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(content(t, testLists)))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		switch words := strings.Fields(line); {
		case len(words) == 0:
		case len(words) != 2 || !slices.Contains(kinds, words[0]):
			t.Errorf("%s: %q is not a kind of %v and a pattern", testLists, line, kinds)
		default:
			entries = append(entries, &entry{kind: words[0], pattern: words[1]})
		}
	}
	return entries
}

// TestEveryPackageIsTestedOnce holds that each package that has tests is in one
// list, so that the suite runs each of them once.
func TestEveryPackageIsTestedOnce(t *testing.T) {
	t.Parallel()
	entries := testEntries(t)
	for _, p := range packages(t) {
		if p.testFiles == 0 {
			continue
		}
		var in []string
		for _, e := range entries {
			if e.matchesPackage(p.dir) {
				in = append(in, e.kind+" "+e.pattern)
				e.matches++
			}
		}
		if len(in) != 1 {
			t.Errorf("%s has tests and is in %d lists of %s: %q", p.dir, len(in), testLists, in)
		}
	}
	for _, e := range entries {
		if e.matches == 0 {
			t.Errorf("%s: no package with tests is one of %s", testLists, e.pattern)
		}
	}
}

// TestNoTestIsLeftOut holds that no file is built only with the race detector,
// or only without it. A package is tested in one of the two ways, so what is
// not built in that way would never be tested.
func TestNoTestIsLeftOut(t *testing.T) {
	t.Parallel()
	race := regexp.MustCompile(`\brace\b`)
	eachFile(t, func(f file) {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if constraint.IsGoBuild(c.Text) && race.MatchString(c.Text) {
					t.Errorf("%s: it depends on the race detector", f.path)
				}
			}
		}
	})
}

// TestListsAreUsed holds that the Makefile runs every list and that the manual
// names the file.
func TestListsAreUsed(t *testing.T) {
	t.Parallel()
	makefile := content(t, "Makefile")
	for _, kind := range kinds {
		if !strings.Contains(makefile, "$(call packages,"+kind+")") {
			t.Errorf("the Makefile does not use the list %s", kind)
		}
	}
	for _, name := range []string{"Makefile", "docs/development.md"} {
		if !strings.Contains(content(t, name), testLists) {
			t.Errorf("%s does not name %s", name, testLists)
		}
	}
}
