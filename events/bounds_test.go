package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 4980: "4,980", 1044600: "1,044,600"} {
		if got := events.Count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""},
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abc…"},
		{"ééé", 6, "ééé"},
		{"éééé", 7, "éé…"},
		{"éééé", 6, "é…"},
		{"<<", 12, "<<"},
		{"<<<", 12, "<…"},
		{"漢😀😀", 9, "漢…"},
		{"漢😀😀", 10, "漢😀…"},
	} {
		if got := events.Cut(c.text, c.limit); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

// FuzzCut: sizes are those of encoding/json, and no character is cut.
func FuzzCut(f *testing.F) {
	for _, seed := range []string{"", "plain", "<&>\"\\\b\f\n\r\t\x00\x7f", "é漢😀\u2028\u2029", "\xff\xc3", strings.Repeat("漢<", 200)} {
		f.Add(seed, 20)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		body, err := json.Marshal(text)
		if err != nil || events.TextSize(text) != len(body)-2 {
			t.Fatalf("%q has %d bytes, encoding/json writes %s, %v", text, events.TextSize(text), body, err)
		}
		if limit < 3 {
			return // no room for the mark
		}
		got := events.Cut(text, limit)
		if events.TextSize(got) > limit || events.Cut(got, limit) != got {
			t.Errorf("%q cut to %d is %q", text, limit, got)
		}
		if start, cut := strings.CutSuffix(got, "…"); got != text && (!cut || !strings.HasPrefix(text, start)) {
			t.Errorf("%q cut to %d is %q", text, limit, got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q cut to %d cuts a character: %q", text, limit, got)
		}
	})
}
