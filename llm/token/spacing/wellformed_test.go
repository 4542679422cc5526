package spacing

import "testing"

// TestWellFormed holds the examples of Unicode 16, tables 3-8 to 3-11.
func TestWellFormed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41": "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA",
		"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41": "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA",
		"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42": "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB",
		"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41": "\uFFFD\uFFFD\uFFFD\uFFFDA",
		"whole, \u00e4\U0001F6A2":              "whole, \u00e4\U0001F6A2",
		"":                                     "",
	} {
		if got := WellFormed(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
