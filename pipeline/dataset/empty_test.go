package dataset_test

import (
	"slices"
	"testing"
)

// TestEmptyTextsAreNoted: a row with an empty question or an empty answer is used, and
// a note says how many there are. Images, calls of tools and reasoning say something.
func TestEmptyTextsAreNoted(t *testing.T) {
	t.Parallel()
	const trained, tested = "fine_tuner.training_data_id: ", "inferencer.testing_data_id: "
	const qa = `{"question": "1", "answer": "2"}` + "\n"
	for rows, want := range map[string]struct{ train, test []string }{
		qa: {},
		qa + `{"question": "", "answer": "2"}` + "\n" + `{"question": " \n", "answer": ""}`: {
			[]string{
				trained + "2 of 3 rows have an empty question and are used as they are; the first is rows.jsonl, line 2",
				trained + "1 of 3 rows have an empty answer: a model learns from it to answer nothing; the first is rows.jsonl, line 3",
			},
			[]string{
				tested + "2 of 3 rows have an empty question and are used as they are; the first is rows.jsonl, line 2",
				tested + "1 of 3 rows have an empty ground truth and are scored against it; the first is rows.jsonl, line 3",
			},
		},
		`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": [{"type": "text", "text": ""}]}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]}`: {
			[]string{trained + "1 of 1 rows have an empty answer: a model learns from it to answer nothing; the first is rows.jsonl, line 1"}, nil,
		},
		`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "", "weight": 0}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]}`:                                                      {},
		`{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}, {"role": "tool", "content": ""}, {"role": "assistant", "content": "", "reasoning": "It is."}]}`: {test: []string{tested + "1 of 1 rows have an empty ground truth and are scored against it; the first is rows.jsonl, line 1"}},
		`{"text": "1"}` + "\n" + `{"text": ""}`: {train: []string{trained + "1 of 2 rows have an empty text: a model learns from it to say nothing; the first is rows.jsonl, line 2"}},
	} {
		src := file(t, "rows.jsonl", rows)
		_, info, err := read(t, src, training())
		if err != nil || !slices.Equal(info.Notes, want.train) || len(info.Warnings) > 0 {
			t.Errorf("%s: training: %q, %q, %v; want %q", rows, info.Notes, info.Warnings, err, want.train)
		}
		src.Key = "inferencer.testing_data_id"
		if _, info, err = read(t, src, forTest()); err == nil && !slices.Equal(info.Notes, want.test) { // texts are no test
			t.Errorf("%s: testing: %q; want %q", rows, info.Notes, want.test)
		}
	}
}
