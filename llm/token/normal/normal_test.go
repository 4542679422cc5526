package normal_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/tunebus/tunebus/llm/token/normal"
	"github.com/tunebus/tunebus/llm/token/pattern"
)

// TestPlaces: each byte of what a step writes knows where it comes from.
func TestPlaces(t *testing.T) {
	t.Parallel()
	blanks, err := pattern.New(" {2,}")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		step normal.Step
		text string
		want normal.Text
	}{
		"longer":    {normal.Form(norm.NFKC), "a\ufb01b", normal.Text{Bytes: "afib", At: []int{0, 1, 1, 4, 5}}},
		"composed":  {normal.Form(norm.NFC), "ae\u0301b", normal.Text{Bytes: "a\u00e9b", At: []int{0, 1, 1, 4, 5}}},
		"replaced":  {normal.Replace{Pattern: blanks, Content: "_"}, "a   b c", normal.Text{Bytes: "a_b c", At: []int{0, 1, 4, 5, 6, 7}}},
		"prepended": {normal.Prepend("_"), "ab", normal.Text{Bytes: "_ab", At: []int{0, 0, 1, 2}}},
		"nothing":   {normal.Prepend("_"), "", normal.Text{At: []int{0}}},
		"lower":     {normal.Lowercase{}, "A\u0130\xffz", normal.Text{Bytes: "ai\u0307\xffz", At: []int{0, 1, 1, 1, 3, 4, 5}}},
		"stripped":  {normal.Strip{Left: true, Right: true}, " a\u3000", normal.Text{Bytes: "a", At: []int{1, 2}}},
		"blank":     {normal.Strip{Left: true, Right: true}, "  ", normal.Text{At: []int{2}}},
	} {
		if got := c.step.Apply(normal.Plain(c.text)); got.Bytes != c.want.Bytes || !slices.Equal(got.At, c.want.At) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// FuzzCharsmap: whatever a table holds, it is refused or applied, and each byte knows a
// place of the text.
func FuzzCharsmap(f *testing.F) {
	unit := func(units ...uint32) []byte {
		raw := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
		for _, u := range units {
			raw = binary.LittleEndian.AppendUint32(raw, u)
		}
		return raw
	}
	f.Add(append(unit(1<<10, 0, 'c'|1<<8|1<<10), "x\x00"...), "abc\u0301")
	f.Add(unit(1<<31|0xFFFFFF), "abc")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		m, err := normal.NewCharsmap(raw)
		if err != nil {
			return
		}
		got := m.Apply(normal.Plain(text))
		if len(got.At) != len(got.Bytes)+1 || !slices.IsSorted(got.At) || got.At[len(got.Bytes)] != len(text) {
			t.Errorf("%q becomes %+v", text, got)
		}
	})
}
