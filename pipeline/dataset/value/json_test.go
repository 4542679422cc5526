package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzFromJSON compares the decoder with encoding/json, which in Go 1.26 is less
// strict: it takes keys that occur twice, and half characters.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+10,true,false,null,"\u00e9\ud83d\ude00\\"],"b":{}}`, `[[],[{}]]`, `"a`, `{"a":1,"a":2}`, ` [1 , 2 ] `, `01`, `-`, `1.`, `"` + "\x01" + `"`,
		`{"a" 1}`, `[1,]`, `{,}`, `nul`, `NaN`, `"\ud800"`, `"\x"`, `1e`, `[`, strings.Repeat("[", 600),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := FromJSON(text)
		stricter := err != nil && (strings.Contains(err.Error(), "occurs twice") || strings.Contains(err.Error(), "half of a character") ||
			strings.Contains(err.Error(), "nested more than") || strings.Contains(err.Error(), "not UTF-8"))
		if valid := json.Valid(text); valid != (err == nil) && !stricter {
			t.Fatalf("%q: %v; encoding/json says valid: %v", text, err, valid)
		}
		if err != nil {
			if syntax := (*SyntaxError)(nil); errors.As(err, &syntax) && (syntax.Offset < 0 || syntax.Offset > len(text)) {
				t.Errorf("offset %d of %d", syntax.Offset, len(text))
			}
			return
		}
		// Written again it means the same: blanks are gone, all else has its order.
		again := v.AppendJSON(nil)
		if !utf8.Valid(again) {
			t.Fatalf("%q is not UTF-8", again)
		}
		second, err := FromJSON(again)
		if err != nil || !bytes.Equal(second.AppendJSON(nil), again) {
			t.Fatalf("%q was written as %q and read as %q, %v", text, again, second.AppendJSON(nil), err)
		}
		var ours, theirs bytes.Buffer
		if err := errors.Join(json.Compact(&ours, again), json.Compact(&theirs, text)); err != nil {
			t.Fatal(err)
		}
		if !bytes.ContainsRune(text, '\\') && !bytes.Equal(ours.Bytes(), theirs.Bytes()) {
			t.Errorf("%s, encoding/json has %s", ours.Bytes(), theirs.Bytes())
		}
	})
}

// TestSyntaxErrors holds the place of faults. The readers' tests hold their words.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for text, offset := range map[string]int{
		`{"a":1,"b"}`: 10, `[1,2`: 4, `{"a":NaN}`: 5, `{"a":1,"a":2}`: 7, `"ab\xcd"`: 3, `[1,]`: 3, `{"a":01}`: 5, `"a" "b"`: 4, ``: 0, "\"a\tb\"": 2,
	} {
		_, err := FromJSON([]byte(text))
		syntax := (*SyntaxError)(nil)
		if !errors.As(err, &syntax) || syntax.Offset != offset {
			t.Errorf("%q: %#v, want offset %d", text, err, offset)
		}
	}
}

// TestObject holds what rows share and what they do not.
func TestObject(t *testing.T) {
	t.Parallel()
	var d JSONDecoder
	first, names, err := d.Object([]byte(`{"q":"a","m":{"role":"user"}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := d.Object([]byte(`{"q":"b","m":{"role":"user"}}`))
	if err != nil || &names[0] != &again[0] {
		t.Errorf("equal keys are not shared: %v", err)
	}
	if text, err := first[0].Value.Text(); err != nil || text != "a" {
		t.Errorf("the first row changed: %q, %v", text, err)
	}
	d.Select([]string{"m"})
	fields, names, err := d.Object([]byte(`{"q":{"x":[1]},"m":2}`))
	if err != nil || len(fields) != 1 || fields[0].Name != "m" || len(names) != 2 {
		t.Errorf("selected %v of %v, %v", fields, names, err)
	}
	// Many keys are checked with a map.
	var many strings.Builder
	for i := range 40 {
		many.WriteString(`"k` + strings.Repeat("x", i) + `":1,`)
	}
	if _, _, err := d.Object([]byte("{" + many.String() + `"kxxx":2}`)); err == nil || !strings.Contains(err.Error(), `"kxxx" occurs twice`) {
		t.Errorf("a key twice among many: %v", err)
	}
}
