package evaluation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

// TestEarlierJudgements: a judgement of an earlier attempt counts for the same
// position with the same texts, and for no other row.
func TestEarlierJudgements(t *testing.T) {
	t.Parallel()
	row := func(position int64, answer string) *scoredRow {
		return &scoredRow{tuned: prediction.Prediction{Index: position, Question: "q", Answer: answer}}
	}
	dir := t.TempDir()
	lines := `{"index":0,"digest":"` + row(0, "a").digest() + `","own":{"samples":[{"scores":{"answer_accuracy":0.5}}]}}
{"index":1,"own":{"samples":[{"scores":{"answer_accuracy":1}}]}}
`
	for name, content := range map[string]string{judgementsFile: lines, usageFile: `{"calls":3}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	js := &judgements{judging: &judging{}, resumed: map[int64]judgement{}}
	if err := js.resume(dir); err != nil || js.judging.earlierUsage.Calls != 3 {
		t.Fatalf("%+v, %v", js.judging, err)
	}
	for _, c := range []struct {
		row  *scoredRow
		want bool
	}{
		{row(0, "a"), true},
		{row(0, "b"), false},
		{row(1, "a"), false}, // a checkpoint of an earlier version, which knew rows by the index of the data
		{row(2, "a"), false},
	} {
		j, ok := js.earlier(judgement{Position: c.row.tuned.Index, Digest: c.row.digest()})
		if ok != c.want || ok && (!j.complete || j.Tuned.Samples[0].Scores["answer_accuracy"] != 0.5) {
			t.Errorf("row %+v: %t, %+v", c.row.tuned, ok, j)
		}
	}
	with := row(0, "a")
	with.baseline = &prediction.Prediction{Answer: "b"}
	if with.digest() == row(0, "a").digest() {
		t.Error("the base model's answer is not in the digest")
	}
}
