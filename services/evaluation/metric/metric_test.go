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
	all := NewAggregate(suite)
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
	if all.Rows() != 6 || all.Scored("exact_match") != 4 || all.Scored("key_fact_accuracy") != 2 || all.Scored("none") != 0 {
		t.Errorf("rows %d, scored %d and %d", all.Rows(), all.Scored("exact_match"), all.Scored("key_fact_accuracy"))
	}
	if got["exact_match"] != 0.25 || got["key_fact_accuracy"] != 0.5 || got["judged"] != 0.5 || got["sacrebleu"] <= 0 {
		t.Errorf("result is %v", got)
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
