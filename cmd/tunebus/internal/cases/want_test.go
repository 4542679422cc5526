package cases_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// want is what a folder has to lead to.
type want struct{ Runs []run }

// run is one run of the program, and what has to come out.
type run struct {
	What     string // "train", "test" or "answers"
	Keys     map[string]any
	Template string // a chat template for the base model
	// Base are keys of files of JSON of the base model, and their values here.
	Base map[string]map[string]any
	File string // of answers

	Exit       int
	Says       []string
	Rows       []trained // of the training data
	Counts     map[string]int64
	Scores     map[string]float64
	Coverage   map[string]float64
	References [][]string // of the predictions
}

// trained is a row as a model learns it.
type trained struct {
	Text    string
	IDs     []int32
	Counted []int
}

// outcome is what came out of a run.
type outcome struct {
	exit       int
	screen     string // all that was printed for people
	started    bool   // a phase has started
	hidden     string // a folder that no message of a refusal may name
	rows       []trained
	rowsErr    error
	counts     map[string]int64
	scores     map[string]float64
	coverage   map[string]float64
	references [][]string
}

// faults lists what is wrong with an outcome.
func (r run) faults(got outcome) []string {
	var out []string
	fault := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if got.exit != r.Exit {
		fault("exit status %d, want %d", got.exit, r.Exit)
	}
	for _, word := range r.Says {
		if !strings.Contains(got.screen, word) {
			fault("it does not say %q", word)
		}
	}
	if r.Exit != 0 {
		if got.started {
			fault("a phase had started before it was refused")
		}
		if got.hidden != "" && strings.Contains(got.screen, got.hidden) {
			fault("it names the folder %s, which the person does not know", got.hidden)
		}
		if line := longestWith(got.screen, r.Says); line != "" && strings.Count(got.screen, line) > 1 {
			fault("it says twice: %s", line)
		}
		return out
	}
	if r.What == "train" {
		out = append(out, r.rowFaults(got)...)
	}
	for name, n := range r.Counts {
		if got.counts[name] != n {
			fault("%d rows are counted as %s, want %d", got.counts[name], name, n)
		}
	}
	compare := func(what string, want, got map[string]float64) {
		for name, v := range want {
			if score, ok := got[name]; !ok || math.Abs(score-v) > 1e-9 {
				fault("%s %s is %v (%t), want %v", what, name, score, ok, v)
			}
		}
	}
	compare("score", r.Scores, got.scores)
	compare("coverage", r.Coverage, got.coverage)
	if r.References != nil && !slices.EqualFunc(r.References, got.references, slices.Equal) {
		fault("references %q, want %q", got.references, r.References)
	}
	return out
}

func (r run) rowFaults(got outcome) (out []string) {
	if got.rowsErr != nil {
		return []string{fmt.Sprintf("rows: %v", got.rowsErr)}
	}
	if len(got.rows) != len(r.Rows) || len(r.Rows) == 0 {
		return []string{fmt.Sprintf("%d rows, want %d", len(got.rows), len(r.Rows))}
	}
	for i, w := range r.Rows {
		if g := got.rows[i]; g.Text != w.Text || !slices.Equal(g.IDs, w.IDs) || !slices.Equal(g.Counted, w.Counted) {
			out = append(out, fmt.Sprintf("row %d: %q, ids %v, counted %v; want %q, %v, %v", i, g.Text, g.IDs, g.Counted, w.Text, w.IDs, w.Counted))
		}
	}
	return out
}

// longestWith is the first line with the most of the words.
func longestWith(screen string, words []string) string {
	best, most := "", 0
	for line := range strings.Lines(screen) {
		n := 0
		for _, word := range words {
			if strings.Contains(line, word) {
				n++
			}
		}
		if n > most {
			best, most = strings.TrimSpace(line), n
		}
	}
	return best
}

// readCases reads all folders. One without a want.json fails the test.
func readCases(t *testing.T) map[string]want {
	t.Helper()
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]want{}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("testdata", f.Name(), "want.json"))
		if err != nil {
			t.Errorf("a folder needs what it has to lead to: %v", err)
			continue
		}
		var w want
		if err := json.Unmarshal(raw, &w); err != nil || len(w.Runs) == 0 {
			t.Errorf("%s: %v, %d runs", f.Name(), err, len(w.Runs))
			continue
		}
		out[f.Name()] = w
	}
	return out
}
