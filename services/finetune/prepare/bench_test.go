package prepare_test

import (
	"bufio"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/examplefile"
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

// BenchmarkRows prepares rows of messages of about a thousand bytes, and writes their
// tokens as the engine does. The variables PREPARE_ROWS and PREPARE_MODEL name a file
// of other rows and another model: testdata/speed.py compares with TRL on them.
func BenchmarkRows(b *testing.B) {
	path := os.Getenv("PREPARE_ROWS")
	if path == "" {
		path = filepath.Join(b.TempDir(), "train.jsonl")
		writeMessages(b, path, 5000)
	}
	tok, err := token.Open(cmp.Or(os.Getenv("PREPARE_MODEL"), base))
	if err != nil {
		b.Fatal(err)
	}
	p := prepare.New(tok, prepare.Config{FineTuner: spec.Defaults().FineTuner})
	n, tokens, counted := 0, 0, 0
	began := usage(b)
	for b.Loop() {
		w, err := examplefile.Create(filepath.Join(b.TempDir(), "tokens"))
		if err != nil {
			b.Fatal(err)
		}
		set, err := dataset.Open(b.Context(), source.Source{Path: path}, dataset.Want{Use: dataset.Training, Columns: dataset.Columns{Question: "question", Answer: "answer"}})
		if err != nil {
			b.Fatal(err)
		}
		for row, err := range p.Rows(b.Context(), set) {
			if err != nil {
				b.Fatal(err)
			}
			for _, e := range row.Examples {
				example := llm.Example{IDs: e.IDs, Count: e.Count}
				if err := w.Add(example); err != nil {
					b.Fatal(err)
				}
				tokens, counted = tokens+len(e.IDs), counted+example.Counted()
			}
			n++
		}
		examples, err := w.Examples()
		if err != nil {
			b.Fatal(err)
		}
		if err := examples.Close(); err != nil {
			b.Fatal(err)
		}
	}
	used := usage(b)
	cpu := seconds(used.Utime) + seconds(used.Stime) - seconds(began.Utime) - seconds(began.Stime)
	b.ReportMetric(float64(n), "rows")
	b.ReportMetric(float64(tokens), "tokens")
	b.ReportMetric(float64(counted), "counted")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(1e6*cpu/float64(n), "µs-processor/row")
	b.ReportMetric(float64(used.Maxrss)/1024, "MiB-resident")
}

func usage(b *testing.B) (u syscall.Rusage) {
	b.Helper()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
