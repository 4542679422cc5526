package spec_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestGatesBelongToMetrics: a gate on a score that no metric of the list has is a
// fault with the reason; so is a threshold or a coverage that cannot be.
func TestGatesBelongToMetrics(t *testing.T) {
	t.Parallel()
	check := func(change func(*events.Evaluator)) []string {
		s := minimal().(events.Specification)
		change(&s.Evaluator)
		var b strings.Builder
		if err := structconf.Write(&b, s); err != nil {
			t.Fatal(err)
		}
		tree, faults := structconf.ParseTOML("a.toml", []byte(b.String()))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		_, faults = spec.Decode(tree)
		var out []string
		for _, f := range faults {
			out = append(out, f.Key+": "+f.Message+" ("+f.Allowed+")")
		}
		return out
	}
	for name, c := range map[string]struct {
		metrics []string
		gates   map[string]float64
		want    []string
	}{
		"all scores": {
			[]string{"rouge_score", "sacrebleu", "key_fact", "answer_accuracy", "chrf"},
			map[string]float64{"rouge_score": 0.5, "rouge1": 0.5, "sentence_bleu": 3, "sacrebleu": 3, "key_fact_accuracy": 1, "answer_accuracy_available": 0, "chrf_corpus": 0}, nil,
		},
		"another metric": {[]string{"exact_match"}, map[string]float64{"rougeL": 0.5}, []string{
			`evaluator.gates.rougeL: no metric of evaluator.metrics has this score; the metric "rouge_score" has it (exact_match)`,
		}},
		"name of the metric": {[]string{"key_fact"}, map[string]float64{"key_fact": 0.5}, []string{
			`evaluator.gates.key_fact: no metric of evaluator.metrics has this score; the score of the metric "key_fact" is called "key_fact_accuracy" (key_fact_accuracy)`,
		}},
		"misspelt": {[]string{"exact_match"}, map[string]float64{"exact_macth": 0.5, "zzzzzzzz": 1}, []string{
			`evaluator.gates.exact_macth: no metric of evaluator.metrics has this score; did you mean "exact_match"? (exact_match)`,
			"evaluator.gates.zzzzzzzz: no metric of evaluator.metrics has this score (exact_match)",
		}},
		"no number": {[]string{"exact_match"}, map[string]float64{"exact_match": math.Inf(1)}, []string{"evaluator.gates.exact_match: is no finite number ()"}},
	} {
		if got := check(func(e *events.Evaluator) { e.Metrics, e.Gates = c.metrics, c.gates }); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for coverage, bad := range map[float64]bool{0: false, 0.5: false, 1: false, 1.5: true, -0.1: true} {
		if got := check(func(e *events.Evaluator) { e.GateCoverage = coverage }); (len(got) == 1) != bad {
			t.Errorf("a coverage of %v: %q", coverage, got)
		}
	}
}

func TestNeedsGroundTruth(t *testing.T) {
	t.Parallel()
	if spec.NeedsGroundTruth([]string{"key_fact", "answer_relevancy"}) || !spec.NeedsGroundTruth([]string{"key_fact", "chrf"}) {
		t.Error("which metrics need a ground truth is wrong")
	}
}
