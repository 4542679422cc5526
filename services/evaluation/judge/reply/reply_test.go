package reply_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/evaluation/judge/reply"
)

func TestRating(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{ // -1: none
		"4": 4, "0": 0, " 3\n": 3, "**4**": 4, "Rating: 2.": 2, `{"rating": 1}`: 1, "4/4": 4, "2 out of 4": 2, "4, yes, 4": 4,
		"<think>0 or 2?</think>4": 4, "<think>4": -1,
		"": -1, "none": -1, "four": -1, "5": -1, "10": -1, "-1": -1, "2.5": -1, "0.4": -1, "3,5": -1, "14": -1,
		"On a scale of 0 to 4, I give 4.": -1, "4 out of 10": -1, "In 2024, 0": -1, "2 or 4": -1,
	} {
		got, ok := reply.Rating(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, ok, want)
		}
	}
}

func TestJSONBehindReasoning(t *testing.T) {
	t.Parallel()
	if got, ok := reply.JSON(`<think>Perhaps {"a": 1}?</think>{"a": 2}`); !ok || got != `{"a": 2}` {
		t.Errorf("found %q, %v", got, ok)
	}
}

// FuzzJSON holds for any answer: what is found is balanced and lies in the
// text, and an object that stands alone is found whole.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{"", "{", "]{", `{"a": "}\\"}`, "[[{}]]", "```json\n[1]\n```", `{"a]`, `{"\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if found, ok := reply.JSON(text); ok && (!strings.Contains(text, found) || len(found) < 2) {
			t.Errorf("in %q found %q", text, found)
		}
		object, err := json.Marshal(map[string]any{"k": []string{text}})
		if err != nil {
			t.Fatal(err)
		}
		if found, ok := reply.JSON("so: " + string(object) + "}"); !ok || found != string(object) {
			t.Errorf("of %s found %q, %v", object, found, ok)
		}
	})
}
