package scores_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// TestUnscored: each metric has the reasons of the rows that it lacks, also one that
// no row has a score of, and one that is not its metric's main score.
func TestUnscored(t *testing.T) {
	t.Parallel()
	s, err := scores.Summarise(t.Context(), reporttest.UnscoredRun(), reporttest.Opener(reporttest.Unscored))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range s.Metrics {
		got = append(got, fmt.Sprint(m.Name, m.Unscored, m.BaselineUnscored, m.Statistics != nil))
	}
	want := []string{
		"answer_accuracy[{the judge is away 2} {the row has no ground truth 1}] [{the judge is away 1} {the row has no ground truth 1} {no reason was recorded 1}] false",
		"exact_match[{the row has no ground truth 1}] [{the row has no ground truth 1}] true",
		"rouge1[{the row has no ground truth 1}] [{no reason was recorded 3}] true",
		"rouge_score[{the row has no ground truth 1}] [{no reason was recorded 3}] true",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("metrics\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.Unscored != 3 || s.Coverage["exact_match"] != (events.Coverage{Scored: 2, Rows: 3}) {
		t.Errorf("summary %+v", s)
	}
	if v, ok := s.RowScore(scores.Scores{"answer_accuracy": 1}); ok {
		t.Errorf("a score that no row has counts: %v", v)
	}
}

// TestUnscoredIsBounded: reasons may quote answers, so only some are kept.
func TestUnscoredIsBounded(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rows, `{"unscored":{"m":"reason %d"}}`+"\n", i)
	}
	s, err := scores.Summarise(t.Context(), events.Run{}, reporttest.Opener(rows.String()))
	if err != nil || len(s.Metrics) != 1 || len(s.Metrics[0].Unscored) != 11 || s.Metrics[0].Unscored[0] != (scores.Reason{Reason: "other reasons", Rows: 90}) {
		t.Errorf("%+v, %v", s.Metrics, err)
	}
}

func TestWhyUnscored(t *testing.T) {
	t.Parallel()
	r := scores.Row{Unscored: map[string]string{"b": "away", "a": "away", "c": "odd"}, BaselineUnscored: map[string]string{"a": "empty"}}
	if got := r.WhyUnscored(); got != "a, b: away\nc: odd\nbase model: a: empty" {
		t.Errorf("%q", got)
	}
	if got := (scores.Row{}).WhyUnscored(); got != "" {
		t.Errorf("%q", got)
	}
}
