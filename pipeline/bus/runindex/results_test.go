package runindex

import (
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
			all[fmt.Sprintf("r%d", i)] = result{uint64(i), fmt.Appendf(nil, `{"k":%q}`, summary)}
		}
		all["short"] = result{7, []byte(`{"k":1}`)}
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

// FuzzDecodeResults: whatever the bucket holds, reading it ends, with results that are JSON.
func FuzzDecodeResults(f *testing.F) {
	f.Add(results{"r": {3, []byte(`{"a":1}`)}}.encode())
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
