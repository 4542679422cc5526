package metric

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/services/evaluation/metric/internal/porter"
)

// reference holds the scores of the reference implementations;
// testdata/reference.py computed them.
type reference struct {
	Pairs     []pair             `json:"pairs"`
	Corpus    map[string]float64 `json:"corpus"`
	Signature string             `json:"signature"`
	Stems     map[string]string  `json:"stems"`
	// Several has answers with one to three truths each.
	Several       []pair             `json:"several"`
	SeveralCorpus map[string]float64 `json:"several_corpus"`
}

type pair struct {
	Truth        string                `json:"truth"`
	Truths       []string              `json:"truths"`
	Answer       string                `json:"answer"`
	Tokens13a    []string              `json:"tokens_13a"`
	BleuScore    float64               `json:"bleu_score"`
	SentenceBleu float64               `json:"sentence_bleu"` // percent
	Rouge        map[string][3]float64 `json:"rouge"`         // precision, recall, F
	ExactMatch   float64               `json:"exact_match"`
	TokenF1      float64               `json:"token_f1"`
	ChrF         float64               `json:"chrf"`   // percent
	ChrFpp       float64               `json:"chrfpp"` // percent
}

func readReference(tb testing.TB) reference {
	tb.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		tb.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		tb.Fatal(err)
	}
	if len(ref.Pairs) < 60 {
		tb.Fatalf("%d pairs are too few", len(ref.Pairs))
	}
	return ref
}

func (p pair) row() Row { return Row{Answer: p.Answer, GroundTruth: p.Truth, References: p.Truths} }

func mustNew(tb testing.TB, name string, opts Options) Metric {
	tb.Helper()
	m, err := New(name, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

const tolerance = 1e-12

// withoutReference has the reason for each metric that no reference computes.
var withoutReference = map[string]string{"key_fact": "it is tunebus's own; TestKeyFact has its cases"}

// referenceScore is what the reference says of one key of a metric.
type referenceScore struct {
	metric string
	opts   Options
	key    string
	want   float64
}

// scores are all that the reference says of a pair.
func (p pair) scores() []referenceScore {
	all := []referenceScore{
		{"bleu_score", Options{}, "bleu_score", p.BleuScore},
		{"sacrebleu", Options{}, "sentence_bleu", p.SentenceBleu},
		{"exact_match", Options{}, "exact_match", p.ExactMatch},
		{"token_f1", Options{}, "token_f1", p.TokenF1},
		{"chrf", Options{}, "chrf", p.ChrF / 100},
		{"chrfpp", Options{}, "chrfpp", p.ChrFpp / 100},
		{"rouge_score", Options{}, "rouge_score", p.Rouge["rougeL"][2]},
	}
	for i, mode := range []string{"precision", "recall", "fmeasure"} {
		for _, kind := range []string{"rouge1", "rouge2", "rougeL"} {
			opts := Options{RougeType: kind, RougeMode: mode}
			all = append(all,
				referenceScore{"rouge_score", opts, kind, p.Rouge[kind][i]},
				referenceScore{"rouge_score", opts, "rouge_score", p.Rouge[kind][i]})
		}
	}
	return all
}

func TestScoresEqualTheReferences(t *testing.T) {
	t.Parallel()
	ref := readReference(t)
	for _, p := range slices.Concat(ref.Pairs, ref.Several) {
		for _, s := range p.scores() {
			m := mustNew(t, s.metric, s.opts)
			if got := m.Score(p.row()).Scores[s.key]; !(math.Abs(got-s.want) <= tolerance*m.Scale()) {
				t.Errorf("%s of %q against %q is %v, the reference has %v", s.key, p.Answer, p.row().Truths(), got, s.want)
			}
		}
	}
}

// TestEveryMetricHasAReference: each metric is compared with a reference, unless
// it says why not.
func TestEveryMetricHasAReference(t *testing.T) {
	t.Parallel()
	compared := map[string]bool{}
	for _, s := range (pair{}).scores() {
		compared[s.metric] = true
	}
	for _, name := range Names() {
		if compared[name] == (withoutReference[name] != "") {
			t.Errorf("%s: it is compared with a reference: %v; a reason why it is not: %q", name, compared[name], withoutReference[name])
		}
	}
}

func TestTokens13aEqualTheReference(t *testing.T) {
	t.Parallel()
	for _, p := range readReference(t).Pairs {
		if got := tokens13a(p.Answer); !slices.Equal(got, p.Tokens13a) {
			t.Errorf("tokens of %q are %q, the reference has %q", p.Answer, got, p.Tokens13a)
		}
	}
}

func TestStemsEqualTheReference(t *testing.T) {
	t.Parallel()
	for word, want := range readReference(t).Stems {
		if got := porter.Stem(word); got != want {
			t.Errorf("stem of %q is %q, the reference has %q", word, got, want)
		}
	}
}

func TestCorpusScoresEqualTheReference(t *testing.T) {
	t.Parallel()
	ref := readReference(t)
	checkCorpus(t, ref.Pairs, ref.Corpus)
	checkCorpus(t, ref.Several, ref.SeveralCorpus)
	if ref.Signature != sacreBLEUSignature {
		t.Errorf("signature is %q, the reference has %q", sacreBLEUSignature, ref.Signature)
	}
}

func checkCorpus(t *testing.T, pairs []pair, reference map[string]float64) {
	t.Helper()
	suite := Suite{mustNew(t, "sacrebleu", Options{}), mustNew(t, "chrf", Options{}), mustNew(t, "chrfpp", Options{})}
	all := NewAggregate(suite)
	for _, p := range pairs {
		// Stored and read back, as samples of another process are.
		stored, err := json.Marshal(suite.Score(p.row()))
		if err != nil {
			t.Fatal(err)
		}
		var samples []Sample
		if err := json.Unmarshal(stored, &samples); err != nil {
			t.Fatal(err)
		}
		all.Add(samples)
	}
	got := all.Result()
	for key, want := range map[string]float64{
		"sacrebleu":     reference["sacrebleu"],
		"chrf_corpus":   reference["chrf"] / 100,
		"chrfpp_corpus": reference["chrfpp"] / 100,
	} {
		if math.Abs(got[key]-want) > 1e-9 {
			t.Errorf("%s is %v, the reference has %v", key, got[key], want)
		}
	}
}
