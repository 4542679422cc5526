package main

import (
	"maps"
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

// TestScoresOfMetrics: what a specification may name in a gate is what the metrics
// compute.
func TestScoresOfMetrics(t *testing.T) {
	t.Parallel()
	for _, name := range metric.Names() {
		m, err := metric.New(name, metric.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all := metric.NewAggregate(metric.Suite{m})
		all.Add(metric.Suite{m}.Score(metric.Row{Answer: "a b c d", GroundTruth: "a b c d", KeyFact: "a"}))
		got := slices.Sorted(maps.Keys(all.Result()))
		want := slices.Sorted(slices.Values(spec.Scores(name)))
		if !slices.Equal(got, want) || spec.Scores(name)[0] != m.Headline() {
			t.Errorf("%s has the scores %q, spec.Scores says %q", name, got, spec.Scores(name))
		}
	}
	for _, name := range judge.Names() {
		if scores := spec.Scores(name); len(scores) == 0 || scores[0] != name {
			t.Errorf("spec.Scores of %s are %q", name, scores)
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
