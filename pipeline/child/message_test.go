package child

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func FuzzDecode(f *testing.F) {
	for _, line := range []string{
		`{"type":"hello","protocol":1,"name":"n","rows":"tokens","keys":["rank"],"versions":{"torch":"2"}}`,
		`{"type":"stage","stage":"load","done":1}`,
		`{"type":"progress","step":1,"total":2,"points":{"loss":1e3,"x":null}}`,
		`{"type":"dataset","set":"training","rows":1,"dropped":2,"cut":3}`,
		`{"type":"checkpoint","step":4,"folder":"/x"}`,
		`{"type":"result","folder":"/x","tokens":1,"statistics":{"a":1},"artifacts":{"b":"/y"}}`,
		`{"type":"error","class":"bad_data","text":"t","permanent":false,"key":"rank"}`,
		`[]`, `null`, `{"type":1}`, "\xff",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line, nil)
		if (m == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", line, m, err)
		}
		if err != nil && len(err.Error()) > 16*len(start(line))+maxText {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"type":"error","class":"out_of_memory"}`:                  "out_of_memory false",
		`{"type":"error","class":"bad_data"}`:                       "bad_data true",
		`{"type":"error","class":"bad_data","permanent":false}`:     "bad_data false",
		`{"type":"error","class":"out_of_memory","permanent":true}`: "out_of_memory true",
		`{"type":"error","class":"something"}`:                      "internal false",
	} {
		m, err := decode([]byte(line), nil)
		e, ok := m.(Error)
		if got := fmt.Sprint(e.Class, " ", e.IsPermanent()); err != nil || !ok || got != want {
			t.Errorf("%s: %s, %v, want %s", line, got, err, want)
		}
	}
}

// TestUnknownClass: a class that the protocol does not have is said with the text of the error.
func TestUnknownClass(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"type":"error","class":"meltdown","text":"too hot"}`: `too hot (the trainer says the class "meltdown", which the protocol does not have)`,
		`{"type":"error","text":"too hot"}`:                    `too hot (the trainer says the class "", which the protocol does not have)`,
		`{"type":"error","class":"internal","text":"too hot"}`: "too hot",
		`{"type":"error","class":"bad_key","text":"too hot"}`:  "too hot",
	} {
		m, err := decode([]byte(line), nil)
		if e, ok := m.(Error); err != nil || !ok || e.Text != want {
			t.Errorf("%s: %+v, %v, want %s", line, m, err, want)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		order Order
		want  string
	}{
		{CheckpointKept{Step: 3}, `{"type":"checkpoint_kept","step":3}`},
		{CheckpointNotKept{Step: 3, Text: "a\nb"}, `{"type":"checkpoint_not_kept","step":3,"text":"a\nb"}`},
		{Stop{By: "t", Seconds: 1.5}, `{"type":"stop","by":"t","seconds":1.5}`},
	} {
		if got := string(encode(c.order)); got != c.want+"\n" {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count string
		want  [][2]int
	}{{"", [][2]int{}}, {"000", [][2]int{}}, {"0110100", [][2]int{{1, 3}, {4, 5}}}, {"11", [][2]int{{0, 2}}}} {
		var count []bool
		for _, r := range c.count {
			count = append(count, r == '1')
		}
		if got := Ranges(count); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.count, got, c.want)
		}
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 100)
	var got []string
	readLines(strings.NewReader("one\n\n 10%\r 50%\r100%\n"+long+"\n\xffx\nlast"), 20, nil, func(line string) { got = append(got, line) })
	want := []string{"one", "", "100%", "", "\uFFFDx", "last"}
	want[3] = got[3]
	if !slices.Equal(got, want) || len(got[3]) > 20 || !strings.HasPrefix(got[3], "yyyy") {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLogIsBounded: the begin and the end of a long log stay.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	var l Log
	line := strings.Repeat("z", 99)
	const lines = 400_000
	for i := range lines {
		l.Add(fmt.Sprintf("%07d %s", i, line))
	}
	var out bytes.Buffer
	if _, err := l.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if len(text) > headBytes+tailBytes+200 || len(text) < headBytes+tailBytes/2 {
		t.Errorf("it has %d bytes", len(text))
	}
	if !strings.HasPrefix(text, "0000000 ") || !strings.HasSuffix(text, fmt.Sprintf("%07d %s\n", lines-1, line)) || !strings.Contains(text, "bytes of the log are left out here]") {
		t.Errorf("it begins with %q and ends with %q", text[:20], text[len(text)-120:])
	}
	var left int
	at := strings.Index(text, "\n[") + 2
	if _, err := fmt.Sscan(text[at:], &left); err != nil || left+len(text)-len(fmt.Sprintf("[%d bytes of the log are left out here]\n", left)) != lines*108 {
		t.Errorf("%d bytes are said to be left out of %d, and %d are there", left, lines*108, len(text))
	}
	if tail := l.Tail(300); tail != fmt.Sprintf("%07d %s\n%07d %s", lines-2, line, lines-1, line) {
		t.Errorf("the tail is %q", tail)
	}
	var short Log
	short.Add("only")
	if got := short.Tail(100); got != "only" {
		t.Errorf("the tail is %q", got)
	}
}
