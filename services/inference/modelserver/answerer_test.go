package modelserver

import "testing"

// TestAnswersAs: which names in an answer mean the model that was asked for.
func TestAnswersAs(t *testing.T) {
	t.Parallel()
	s := server{models: []served{{ID: "tiny/base", Root: "/models/base"}, {ID: "adapter", Root: "/adapters/a", Parent: "tiny/base"}}}
	for _, c := range []struct {
		asked, answered string
		want            bool
	}{
		{"tiny/base", "tiny/base", true}, {"tiny/base", "", true}, {"tiny/base", "base", true}, {"tiny/base", "Tiny/Base", true},
		{"tiny/base", "/models/base", true}, {"tiny/base", "tiny/base:latest", true}, {"tiny/base", "tiny/base-2026-01-01", true},
		{"gpt-4", "gpt-4-0613", true}, {"openai/gpt-4o", "gpt-4o-2024-08-06", true}, {"gemini-pro", "gemini-pro-001", true}, {"c-latest", "c-20241022", true},
		{"tiny/base", "other/model", false}, {"tiny/base", "other/base", false}, {"tiny/base", "tiny/base-mini", false}, {"gpt-4o", "gpt-4o-mini-2024-07-18", false},
		{"adapter", "tiny/base", false}, {"adapter", "adapter", true}, {"tiny/base", "adapter", false}, {"m-7", "m-70", false},
	} {
		if got := s.answersAs(c.asked, c.answered); got != c.want {
			t.Errorf("%q for %q: %v", c.answered, c.asked, got)
		}
	}
	if s.kind = llamaCPP; !s.answersAs("tiny/base", "model.gguf") {
		t.Error("the one model of llama.cpp")
	}
}
