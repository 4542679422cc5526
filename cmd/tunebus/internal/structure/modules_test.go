package main

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestModulesAreListedOnce holds that the Makefile and go.work list every
// module, and that all modules ask for one version of Go.
func TestModulesAreListedOnce(t *testing.T) {
	t.Parallel()
	goLine := regexp.MustCompile(`(?m)^go (\S+)$`)
	want := goLine.FindString(content(t, "go.work"))
	var modules []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.Name() != "go.mod" {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		modules = append(modules, rel)
		if got := goLine.FindString(content(t, rel+"/go.mod")); got != want {
			t.Errorf("%s asks for %s, go.work for %s", rel, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	makefile := strings.Fields(regexp.MustCompile(`(?m)^MODULES := (.*)$`).FindStringSubmatch(content(t, "Makefile"))[1])
	var workspace []string
	for _, m := range regexp.MustCompile(`(?m)^\t\./(\S+)$`).FindAllStringSubmatch(content(t, "go.work"), -1) {
		workspace = append(workspace, m[1])
	}
	slices.Sort(modules)
	for name, list := range map[string][]string{"the Makefile": makefile, "go.work": workspace} {
		slices.Sort(list)
		if !slices.Equal(list, modules) {
			t.Errorf("%s lists %v; there are %v", name, list, modules)
		}
	}
}
