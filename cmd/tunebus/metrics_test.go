package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/evaluation/judge"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// TestMetricsAreAllowedAndDescribed: a specification may name each metric that
// the evaluation computes, and no other. The package's comment and the manual
// describe each.
func TestMetricsAreAllowedAndDescribed(t *testing.T) {
	t.Parallel()
	known := slices.Concat(metric.Names(), judge.Names())
	for _, name := range known {
		if !slices.Contains(spec.Metrics(), name) {
			t.Errorf("spec.Metrics lacks %s: a specification cannot name it", name)
		}
	}
	for _, name := range spec.Metrics() {
		if !slices.Contains(known, name) {
			t.Errorf("spec.Metrics allows %s, which no service computes", name)
		}
	}
	_, manual, _ := strings.Cut(read(t, "docs/own-data.md"), "\n## Metrics\n")
	for folder, names := range map[string][]string{"metric": metric.Names(), "judge": judge.Names()} {
		file := "services/evaluation/" + folder + "/doc.go"
		comment := read(t, file)
		for _, name := range names {
			if !regexp.MustCompile(`(?m)^//\t` + name + ` `).MatchString(comment) {
				t.Errorf("the table in %s lacks %s", file, name)
			}
			if !strings.Contains(manual, "`"+name+"`") {
				t.Errorf("docs/own-data.md does not describe %s", name)
			}
		}
	}
}

// read is a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
