package prepare_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

// base is the model of the quickstart.
const base = "../../../configs/quickstart/base-model"

// writeMessages writes rows of messages of about a thousand bytes each.
func writeMessages(tb testing.TB, path string, rows int) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the ferry Alma lands at pier four where old Brandt mends her nets and sells his catch of cod every morning before nine o'clock, unless a storm keeps the harbour of Ambrel closed; then nobody leaves")
	text := func(n int) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(words[random.IntN(len(words))])
		}
		return b.String()
	}
	for i := range rows {
		fmt.Fprintf(w, `{"messages": [{"role": "system", "content": "You know the harbour."}, {"role": "user", "content": "%d: %s?"}, {"role": "assistant", "content": "%s."}]}`+"\n", i, text(60), text(100))
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkRows prepares rows of messages of about a thousand bytes.
func BenchmarkRows(b *testing.B) {
	path := filepath.Join(b.TempDir(), "train.jsonl")
	const rows = 5000
	writeMessages(b, path, rows)
	tok, err := token.Open(base)
	if err != nil {
		b.Fatal(err)
	}
	set, err := dataset.Open(b.Context(), source.Source{Path: path}, dataset.Want{Use: dataset.Training, Columns: dataset.Columns{Question: "question", Answer: "answer"}})
	if err != nil {
		b.Fatal(err)
	}
	s := spec.Defaults().FineTuner
	p := prepare.New(tok, prepare.Config{FineTuner: s})
	n := 0
	for b.Loop() {
		for _, err := range p.Rows(b.Context(), set) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
