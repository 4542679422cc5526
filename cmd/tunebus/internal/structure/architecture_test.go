package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const architecture = "docs/architecture.md"

// The sections of the document that the tests read.
const (
	packagesSection = "Packages"
	walksSection    = "One request, step by step"
)

// The walks have a limit, so that a reader gets to the end of each.
const (
	walks    = 3
	maxSteps = 15
)

// section is the text below a heading of level 2.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", architecture, heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// walkFaults are what is wrong with the walks in a section. That the files
// declare the functions is held by [TestNamesOfDocuments].
func walkFaults(text string) (faults []string) {
	all := strings.Split(text, "\n### ")[1:]
	if len(all) != walks {
		faults = append(faults, fmt.Sprintf("%d walks, want %d", len(all), walks))
	}
	for _, walk := range all {
		heading, _, _ := strings.Cut(walk, "\n")
		steps := regexp.MustCompile(`(?m)^[0-9]+\. .*`).FindAllString(walk, -1)
		if len(steps) == 0 || len(steps) > maxSteps {
			faults = append(faults, fmt.Sprintf("%s: %d steps, want 1 to %d", heading, len(steps), maxSteps))
		}
		for i, line := range steps {
			step, found := strings.CutPrefix(line, strconv.Itoa(i+1)+". ")
			if at := fileAndName.FindStringIndex(step); !found || at == nil || at[0] != 0 {
				faults = append(faults, fmt.Sprintf("%s: it does not begin with the number %d, a file and a function: %s", heading, i+1, line))
			}
		}
	}
	return faults
}

// TestWalks holds that the walks are short, and that each step begins with a
// file and a function.
func TestWalks(t *testing.T) {
	t.Parallel()
	for _, fault := range walkFaults(section(t, content(t, architecture), walksSection)) {
		t.Errorf("%s: %s", architecture, fault)
	}
}

// TestWalkFaults holds what is a fault of a walk.
func TestWalkFaults(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("\n### one\n\n1. `p/p.go` `T.Method` works.\n2. `p/q.go` `F` works,\n   and says so.\n", walks)
	long := ""
	for i := range maxSteps {
		long += strconv.Itoa(i+3) + ". `p/q.go` `F`\n"
	}
	for name, c := range map[string]struct {
		text   string
		faults int
	}{
		"good":           {good, 0},
		"one too many":   {good + "\n### two\n\n1. `p/p.go` `F`\n", 1},
		"no steps":       {"\n### none\n" + strings.Repeat("\n### one\n\n1. `p/p.go` `F`\n", walks-1), 1},
		"too many steps": {good + long, 1},
		"wrong number":   {strings.Replace(good, "2. ", "3. ", 1), 1},
		"no function":    {strings.Replace(good, " `F` works", " works", 1), 1},
		"no file":        {strings.Replace(good, "`p/p.go` ", "", 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := walkFaults(c.text); len(got) != c.faults {
				t.Errorf("%q, want %d faults", got, c.faults)
			}
		})
	}
}

// linesOf are the lines of a picture on which packages stand, each with the
// last part of its path. unknown are the words that are no package and no
// folder.
func linesOf(picture string, packages []*pkg) (lines map[string]int, unknown []string) {
	folders := []string{"", "pipeline/bus/", "pipeline/", "services/", "cmd/tunebus/internal/"}
	lines = map[string]int{}
	for i, line := range strings.Split(picture, "\n") {
		for _, word := range regexp.MustCompile(`[a-z/]+`).FindAllString(line, -1) {
			found := false
			for _, p := range packages {
				for _, folder := range folders {
					switch {
					case p.dir == folder+word:
						lines[p.dir] = i
						found = true
					case folder == "" && below(p.dir, word): // a group of packages
						found = true
					}
				}
			}
			if !found {
				unknown = append(unknown, word)
			}
		}
	}
	return lines, unknown
}

// TestPictureOfPackages holds that the picture shows every package of
// pipeline/bus, and that every import leads to a lower line.
func TestPictureOfPackages(t *testing.T) {
	t.Parallel()
	all := packages(t)
	lines, unknown := linesOf(codeBlock.FindString(section(t, content(t, architecture), packagesSection)), all)
	for _, word := range unknown {
		t.Errorf("%s: %s in the picture is no package", architecture, word)
	}
	for _, p := range all {
		from, shown := lines[p.dir]
		if !shown && below(p.dir, "pipeline/bus") {
			t.Errorf("%s: %s is not in the picture", architecture, p.dir)
		}
		for _, dir := range p.ours() {
			if to, ok := lines[dir]; shown && ok && to <= from {
				t.Errorf("%s: %s imports %s, which is not below it in the picture", architecture, p.dir, dir)
			}
		}
	}
}
