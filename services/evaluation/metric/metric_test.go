package metric

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		m := mustNew(t, name, Options{})
		if m.Name() != name {
			t.Errorf("%q makes a metric called %q", name, m.Name())
		}
		result := resultOf(Suite{m}, Row{Answer: "a b c d e", GroundTruth: "a b c d e", KeyFact: "c"})
		if got, ok := result[m.Headline()]; !ok || math.Abs(got-m.Scale()) > 1e-9 {
			t.Errorf("%s: a perfect answer gets %v under %q, want %v", name, got, m.Headline(), m.Scale())
		}
	}

	_, err := New("blue_score", Options{})
	var unknown *UnknownMetricError
	if !errors.As(err, &unknown) || unknown.Name != "blue_score" || !slices.Equal(unknown.Known, Names()) {
		t.Errorf("an unknown name gives %v", err)
	}
	for _, opts := range []Options{{RougeType: "rouge9"}, {RougeMode: "f1"}} {
		_, err := New("rouge_score", opts)
		var option *OptionError
		if !errors.As(err, &option) || option.Metric != "rouge_score" || len(option.Allowed) != 3 {
			t.Errorf("%+v gives %v", opts, err)
		}
	}
}

// The metrics that are chosen together must not write over each other's scores.
func TestKeysAreOfOneMetric(t *testing.T) {
	t.Parallel()
	owner := make(map[string]string)
	for _, name := range Names() {
		for key := range resultOf(Suite{mustNew(t, name, Options{})}, Row{Answer: "a", GroundTruth: "a", KeyFact: "a"}) {
			if other, taken := owner[key]; taken {
				t.Errorf("%s and %s both have the key %q", other, name, key)
			}
			owner[key] = name
		}
	}
}

func TestAggregate(t *testing.T) {
	t.Parallel()
	suite := Suite{mustNew(t, "exact_match", Options{}), mustNew(t, "key_fact", Options{}), mustNew(t, "sacrebleu", Options{})}
	all := NewAggregate(suite, "judged", "given_up")
	if got := all.Result(); len(got) != 0 {
		t.Errorf("without rows the result is %v", got)
	}
	for _, row := range []Row{
		{Answer: "It is Paris", GroundTruth: "it is paris!", KeyFact: "Paris"},
		{Answer: "It is Rome", GroundTruth: "It is Paris", KeyFact: "Paris"},
		{Answer: "I do not know", GroundTruth: "Nobody knows"},
	} {
		all.Add(suite.Score(row))
	}
	all.Add([]Sample{{Scores: map[string]float64{"exact_match": 0}}}) // the others failed for this row
	all.Add(nil)
	all.Add([]Sample{{}, {}, {}, {Scores: map[string]float64{"judged": 0.5}, Counts: []float64{1}}})

	got := all.Result()
	want := map[string]int{"exact_match": 4, "key_fact_accuracy": 2, "sentence_bleu": 3, "sacrebleu": 3, "judged": 1, "given_up": 0}
	if scored := all.Scored(); all.Rows() != 6 || !maps.Equal(scored, want) {
		t.Errorf("rows %d, scored %v", all.Rows(), scored)
	}
	if got["exact_match"] != 0.25 || got["key_fact_accuracy"] != 0.5 || got["judged"] != 0.5 || got["sacrebleu"] <= 0 {
		t.Errorf("result is %v", got)
	}
}

// TestMissing: a row that lacks what a metric needs has no score of it, but a
// reason; an empty answer is an answer.
func TestMissing(t *testing.T) {
	t.Parallel()
	suite := Suite{mustNew(t, "exact_match", Options{}), mustNew(t, "sacrebleu", Options{}), mustNew(t, "key_fact", Options{})}
	all := NewAggregate(suite, "judged")
	for _, row := range []Row{
		{Answer: "at four today it is", GroundTruth: "at four today it is", KeyFact: "four"},
		{Answer: "", GroundTruth: "at four", KeyFact: "four"},
		{Answer: "four", NoGroundTruth: true, KeyFact: "four"},
		{NoAnswer: "the row has no answer", GroundTruth: "at four", KeyFact: "four"},
		{NoAnswer: "out of memory", NoGroundTruth: true},
	} {
		all.Add(append(suite.Score(row), Sample{Missing: "the judge is away"}))
	}
	if got := all.Result(); got["exact_match"] != 0.5 || math.Abs(got["key_fact_accuracy"]-2.0/3) > 1e-15 || len(got) != 4 {
		t.Errorf("result %v", got)
	}
	if got, want := all.Scored(), map[string]int{"exact_match": 2, "sentence_bleu": 2, "sacrebleu": 2, "key_fact_accuracy": 3, "judged": 0}; !maps.Equal(got, want) {
		t.Errorf("scored %v, want %v", got, want)
	}
	want := []string{
		"exact_match: 3 of 5 rows have no score: the row has no ground truth (1 row); the row has no answer (1 row); out of memory (1 row)",
		"judged: 5 of 5 rows have no score: the judge is away (5 rows)",
		"key_fact_accuracy: 2 of 5 rows have no score: the row has no answer (1 row); out of memory (1 row)",
		"sacrebleu: 3 of 5 rows have no score: the row has no ground truth (1 row); the row has no answer (1 row); out of memory (1 row)",
	}
	if got := all.Notes(); !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
}

// TestEmptiedTruths: the reference's value stands, and a note says for how many
// rows and what it does to the mean. Where it does nothing, nothing is said.
func TestEmptiedTruths(t *testing.T) {
	t.Parallel()
	names := []string{"exact_match", "rouge_score", "chrf"}
	same := []Row{
		{Answer: "B", GroundTruth: "A"},
		{Answer: "the", GroundTruth: "A"},
		{Answer: "C", GroundTruth: "B"},
		{Answer: "東京", GroundTruth: "東京", References: []string{"東京", "京都"}},
	}
	if got := notesOf(t, names, same...); len(got) != 1 || !strings.Contains(got[0], "exact_match: 1 of 4 answers count as right") {
		t.Errorf("the means would be the same without emptied truths: %q", got)
	}
	want := []string{
		"exact_match: 2 of 5 ground truths are empty, by themselves or by the metric's own normalisation; their mean is 0.5, as the reference implementation has it; without them the mean would be 0.6667 instead of 0.6",
		"exact_match: 1 of 5 answers count as right although they are empty or another text than the ground truth, since the metric's own normalisation leaves nothing of both, as the reference implementation has it; with 0 for them the mean would be 0.4 instead of 0.6",
		"rouge_score: 1 of 5 ground truths are empty, by themselves or by the metric's own normalisation; their mean is 0, as the reference implementation has it; without them the mean would be 0.25 instead of 0.2",
	}
	if got := notesOf(t, names, append(same, Row{Answer: "At pier 4", GroundTruth: "At pier 4"})...); !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
	want = []string{"exact_match: 1 of 1 ground truths are empty, by themselves or by the metric's own normalisation; their mean is 0, as the reference implementation has it"}
	if got := notesOf(t, names, same[0]); !slices.Equal(got, want) {
		t.Errorf("of all truths nothing is left: %q", got)
	}
}

// TestUnearnedScores: an answer that is empty, or other words of which nothing is left
// either, counts as right with the reference. A note says so whatever it does to the mean,
// also where only one of several truths is emptied. No other metric has such answers.
func TestUnearnedScores(t *testing.T) {
	t.Parallel()
	const of = "answers count as right although they are empty or another text than the ground truth, since the metric's own normalisation leaves nothing of both, as the reference implementation has it; with 0 for them the mean would be"
	right := Row{Answer: "B", GroundTruth: "B"}
	for name, c := range map[string]struct {
		row  Row
		told bool
	}{
		"empty":                     {Row{GroundTruth: "A"}, true},
		"blank":                     {Row{Answer: "   ", GroundTruth: "A"}, true},
		"one of several truths":     {Row{References: []string{"a", "b"}}, true},
		"another article":           {Row{Answer: "the", GroundTruth: "A"}, true},
		"other marks":               {Row{Answer: "!!!", GroundTruth: "???"}, true},
		"marks for nothing":         {Row{Answer: "!!!"}, true},
		"the truth":                 {Row{Answer: "a.", GroundTruth: "A"}, false},
		"one of the truths":         {Row{Answer: "A", References: []string{"a", "b"}}, false},
		"the truth has marks alone": {Row{Answer: "!!!", GroundTruth: " !!! "}, false},
		"nothing is the truth":      {Row{Answer: " "}, false},
	} {
		var want []string
		if c.told {
			want = []string{"exact_match: 1 of 2 " + of + " 0.5 instead of 1", "token_f1: 1 of 2 " + of + " 0.5 instead of 1"}
		}
		if got := notesOf(t, []string{"exact_match", "token_f1"}, right, c.row); !slices.Equal(got, want) {
			t.Errorf("%s: notes %q, want %q", name, got, want)
		}
	}
	for _, name := range Names() {
		if name == "exact_match" || name == "token_f1" {
			continue
		}
		m := mustNew(t, name, Options{})
		for _, row := range []Row{{GroundTruth: "A", KeyFact: "A"}, {GroundTruth: "東京", KeyFact: "!!!"}, {References: []string{"???", "b"}}} {
			if got := m.Score(row).Scores[m.Headline()]; got > 0 {
				t.Errorf("%s: an empty answer to %+v has %v", name, row, got)
			}
		}
	}
}

// TestShortRows: answers that equal the truth have 0 where they are too short for a
// metric, as with the reference, and a note says so. One that shares nothing with the
// truth has earned its 0.
func TestShortRows(t *testing.T) {
	t.Parallel()
	names := []string{"bleu_score", "sacrebleu", "rouge_score", "exact_match", "chrf"}
	short := []Row{
		{Answer: "Paris", GroundTruth: "Paris"},
		{Answer: "At pier 4", GroundTruth: "At pier 4"},
		{Answer: "forty two", GroundTruth: "forty two"},
		{Answer: "Rome", GroundTruth: "Paris"},
	}
	const (
		bleu  = "rows have the score 0 although their answer has words of its ground truth, since the first sentences of both have fewer than 4 tokens, as the reference implementation has it"
		pairs = "rows have the score 0 although their answer has words of its ground truth, since the ground truth has fewer than 2 words, as the reference implementation has it"
	)
	want := []string{
		"bleu_score: 3 of 4 " + bleu,
		"sacrebleu: it is 0 for all rows together, since no answer has 4 tokens, as the reference implementation has it",
		"rouge2: 1 of 4 " + pairs + "; without them the mean would be 0.6667 instead of 0.5",
	}
	if got := notesOf(t, names, short...); !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
	want = []string{
		"bleu_score: 3 of 5 " + bleu + "; without them the mean would be 0.5 instead of 0.2",
		"rouge2: 1 of 5 " + pairs + "; without them the mean would be 0.75 instead of 0.6",
	}
	if got := notesOf(t, names, append(short, Row{Answer: "It is at pier 4.", GroundTruth: "It is at pier 4."})...); !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
	// A longer answer to a truth of one word has no pair either, and is none of BLEU's short ones.
	long := Row{Answer: "It is Paris, I think", GroundTruth: "Paris"}
	if got, want := notesOf(t, names, long), []string{"rouge2: 1 of 1 " + pairs}; !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
	// An answer that is short beside a longer truth is incomplete, and has earned its 0.
	if got := notesOf(t, []string{"bleu_score", "rouge_score"}, Row{Answer: "Pier", GroundTruth: "It is at pier 4."}); len(got) > 0 {
		t.Errorf("notes %q", got)
	}
	all := NewAggregate(Suite{mustNew(t, "rouge_score", Options{RougeType: "rouge2"})})
	all.Add(all.suite.Score(short[0]))
	if got, want := all.Notes(), []string{"rouge_score: 1 of 1 " + pairs}; !slices.Equal(got, want) {
		t.Errorf("notes %q", got)
	}
}

func notesOf(t *testing.T, names []string, rows ...Row) []string {
	t.Helper()
	var suite Suite
	for _, name := range names {
		suite = append(suite, mustNew(t, name, Options{}))
	}
	all := NewAggregate(suite)
	for _, row := range rows {
		all.Add(suite.Score(row))
	}
	return all.Notes()
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	all := NewAggregate(nil, "judged")
	for i := range 20 {
		all.Add([]Sample{{Missing: strings.Repeat("x", i%8)}, {Missing: "of a metric that nobody knows"}})
	}
	if got := all.Notes(); len(got) != 1 || !strings.Contains(got[0], "17 of 20 rows have no score: x (3 rows)") || !strings.HasSuffix(got[0], "; other reasons (4 rows)") {
		t.Errorf("notes %q", got)
	}
}

func TestFinite(t *testing.T) {
	t.Parallel()
	s := Sample{Scores: map[string]float64{"main": math.NaN(), "other": 1, "inf": math.Inf(1)}}
	if got := s.Finite("main"); len(got.Scores) != 1 || got.Scores["other"] != 1 || got.Missing == "" || len(s.Scores) != 3 {
		t.Errorf("got %+v", got)
	}
	if got := (Sample{Scores: map[string]float64{"main": 1}}).Finite("main"); got.Missing != "" || got.Scores["main"] != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	got := Merge([]Sample{{Scores: map[string]float64{"a": 1}}, {}, {Scores: map[string]float64{"b": 0.5}}})
	if want := map[string]float64{"a": 1, "b": 0.5}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestKeyFact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fact, answer string
		want         float64 // NaN: no score
	}{
		{"Paris", "It is PARIS.", 1},
		{"Paris", "A comparison of cities", 0},
		{"Paris", "", 0},
		{"", "Paris", math.NaN()},
		{" ?! ", "?!", math.NaN()},
		{"New York", "in New\n York, of course", 1},
		{"New York", "York is new", 0},
		{"12", "exactly 12.", 1},
		{"12", "3.12", 0},
		{"12", "112", 0},
		{"12", "-12", 0},
		{"-12", "it is −12 °C", 1},
		{"12", "10-12 of them", 1},
		{"3.5", "35", 0},
		{"3.5", "3.5, to be exact", 1},
		{"1000", "1,000 people", 1},
		{"1,000,000", "1000000", 1},
		{"2", "1,2,3", 1},
		{"23", "2,3", 0},
		{"5%", "5 % of it", 1},
		{"5%", "5 of it", 0},
		{"C++", "C and C#", 0},
		{"C++", "in C++.", 1},
		{"well-known", "well known", 1},
		{"O'Neil", "said O’Neil", 1},
		{"café", "the cafe\u0301", 1},
		{"１２", "12", 1},
		{"東京", "首都は東京です", 1},
		{"東京", "京東です", 0},
		{"İzmir", "in İZMİR", 1},
	}
	m := mustNew(t, "key_fact", Options{})
	for _, tt := range tests {
		got, ok := m.Score(Row{Answer: tt.answer, KeyFact: tt.fact}).Scores["key_fact_accuracy"]
		if ok == math.IsNaN(tt.want) || ok && got != tt.want {
			t.Errorf("%q in %q: got %v, %v, want %v", tt.fact, tt.answer, got, ok, tt.want)
		}
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "",
		"ABC":         "abc",
		"İ":           "i\u0307",
		"Σ":           "σ",
		"ΑΣ":          "ας",
		"ΑΣ.":         "ας.",
		"ΑΣ.Α":        "ασ.α",
		"ΑΣ Α":        "ας α",
		"Α\u0301Σ":    "α\u0301ς",
		"1Σ":          "1σ",
		"\xffΣ\xff":   "\uFFFDσ\uFFFD",
		"STRASSE ẞ K": "strasse ß k",
	} {
		if got := lower(text); got != want {
			t.Errorf("lower of %q is %q, want %q", text, got, want)
		}
	}
}

func TestLongestCommonIsTheTablesValue(t *testing.T) {
	t.Parallel()
	letters := strings.Split("abacabadabacabaeabacabadabacabafxyzxyyxzyzxyyx", "")
	for n := range 200 {
		a, b := make([]string, n), make([]string, (n*7)%150)
		for i := range a {
			a[i] = letters[(i*i+n)%len(letters)]
		}
		for i := range b {
			b[i] = letters[(i*3+n*n)%len(letters)]
		}
		if got, want := longestCommon(a, b), tableLCS(a, b); got != want {
			t.Fatalf("of %v and %v it is %d, want %d", a, b, got, want)
		}
	}
}

func tableLCS(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func resultOf(suite Suite, rows ...Row) map[string]float64 {
	all := NewAggregate(suite)
	for _, row := range rows {
		all.Add(suite.Score(row))
	}
	return all.Result()
}
