package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
)

// BenchmarkWrite writes the reports of 10,000 rows with four metrics.
func BenchmarkWrite(b *testing.B) {
	var lines bytes.Buffer
	for i := range 10_000 {
		v := float64(i%97) / 97
		fmt.Fprintf(&lines, `{"index":%d,"question":%q,"ground_truth":%q,"answer":%q,"baseline_answer":"x","scores":{"a":%v,"b":%v,"c":%v,"d":%v},"baseline_scores":{"a":%v,"b":%v,"c":%v,"d":%v}}`+"\n",
			i, strings.Repeat("q", 80), strings.Repeat("g", 120), strings.Repeat("a", 120), v, v, v, v, v, v, v, v)
	}
	r := Report{Run: reporttest.Run(), Scores: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(lines.Bytes())), nil
	}}
	b.ReportAllocs()
	b.SetBytes(int64(lines.Len()))
	for b.Loop() {
		if _, err := Write(b.Context(), b.TempDir(), r); err != nil {
			b.Fatal(err)
		}
	}
}
