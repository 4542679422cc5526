package runindex

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
)

// TestResultsFit: however long the results of a page are, what is stored of them fits into
// a message, and what is left out is left out whole.
func TestResultsFit(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(1, 2))
	for _, long := range []int{10, 3_000, 100_000} {
		all := results{}
		for i := range 64 {
			summary := make([]byte, 0, long)
			for len(summary) < long {
				summary = fmt.Appendf(summary, "%016x", noise.Uint64())
			}
			all[fmt.Sprintf("r%d", i)] = result{newest: uint64(i), summary: fmt.Appendf(nil, `{"k":%q}`, summary)}
		}
		all["short"] = result{newest: 7, summary: []byte(`{"k":1}`)}
		value := all.encode()
		if len(value) > maxPageBytes+maxPageBytes/10 {
			t.Errorf("64 results of %d bytes take %d", long, len(value))
		}
		read, err := decodeResults(value)
		if err != nil || len(read) == 0 || string(read.of(Line{RunID: "short", Newest: 7})) != `{"k":1}` {
			t.Errorf("results of %d bytes are read as %d, %v", long, len(read), err)
		}
		for run, one := range read {
			if one.newest != all[run].newest || string(one.summary) != string(all[run].summary) {
				t.Errorf("the result of %s is read as %d %.40s", run, one.newest, one.summary)
			}
		}
		if long == 10 && len(read) != len(all) {
			t.Errorf("%d of %d short results are stored", len(read), len(all))
		}
	}
}

// TestDamagedResults: a result whose checksum is wrong is left out; those of earlier versions,
// without one, are read if they are JSON, and get one when their page is written again.
func TestDamagedResults(t *testing.T) {
	t.Parallel()
	good := results{"r": {newest: 3, summary: []byte(`{"a":1}`)}}.encode()
	text, err := s2.Decode(nil, good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Replace(text, []byte(`{"a":1}`), []byte(`{"a":2}`), 1)
	line := Line{RunID: "r", Newest: 3}
	for _, c := range []struct{ stored, want string }{
		{string(text), `{"a":1}`}, {string(damaged), ""}, {"r 3 {\"a\":1}\n", `{"a":1}`}, {"r 3 {\"a\":\n", ""}, {"r 3#zz {}\n", ""}, {"r 2 {}\n", ""},
	} {
		read, err := decodeResults(s2.Encode(nil, []byte(c.stored)))
		if err != nil || string(read.of(line)) != c.want {
			t.Errorf("%q is read as %q, %v", c.stored, read.of(line), err)
		}
		again, err := decodeResults(resultsOf([]Line{line}, read).encode())
		if err != nil || string(again.of(line)) != c.want || c.want != "" && !again["r"].whole {
			t.Errorf("%q is written again as %+v, %v", c.stored, again, err)
		}
	}
}

// FuzzDecodeResults: whatever the bucket holds, reading it ends.
func FuzzDecodeResults(f *testing.F) {
	f.Add(results{"r": {newest: 3, summary: []byte(`{"a":1}`)}}.encode())
	f.Add(s2.Encode(nil, []byte("r 3 {\nr\n\nr x {}\nq 1 {}")))
	f.Add([]byte("\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, value []byte) {
		read, err := decodeResults(value)
		if err != nil {
			return
		}
		for run, one := range read {
			_ = read.of(Line{RunID: run, Newest: one.newest})
		}
		_, _ = decodeResults(resultsOf([]Line{{RunID: "r", Result: []byte("{}")}}, read).encode())
	})
}
