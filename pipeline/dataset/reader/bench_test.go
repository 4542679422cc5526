package reader

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"
)

// message is a turn of a conversation.
type message struct {
	Role    string `parquet:"role"`
	Content string `parquet:"content"`
}

type conversation struct {
	Messages []message `parquet:"messages,list"`
}

// conversationOf returns a row of about 1 KB.
func conversationOf(i int) conversation {
	const words = "The ferry Alma lands at pier 4, and old Brandt said \"no\" to it.\nThen she leaves at nine, he thinks. "
	return conversation{[]message{
		{"system", strings.Repeat(words, 2)}, {"user", fmt.Sprint(i, " ", strings.Repeat(words, 3))}, {"assistant", strings.Repeat(words, 4)},
	}}
}

// writeText writes rows, compressed as the name says.
func writeText(t testing.TB, path string, rows int, line func(i int) string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w io.WriteCloser = struct {
		io.Writer
		io.Closer
	}{f, io.NopCloser(nil)}
	switch filepath.Ext(path) {
	case ".gz":
		w = gzip.NewWriter(f)
	case ".zst":
		if w, err = zstd.NewWriter(f); err != nil {
			t.Fatal(err)
		}
	}
	b := bufio.NewWriterSize(w, 1<<20)
	for i := range rows {
		if _, err := b.WriteString(line(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// jsonLine is a row of messages.
func jsonLine(i int) string {
	c := conversationOf(i)
	return fmt.Sprintf("{\"messages\":[{\"role\":\"system\",\"content\":%q},{\"role\":\"user\",\"content\":%q},{\"role\":\"assistant\",\"content\":%q}]}\n",
		c.Messages[0].Content, c.Messages[1].Content, c.Messages[2].Content)
}

// writeFile writes rows of messages in the format of the name; formats without
// lists have the columns question and answer.
func writeFile(t testing.TB, path string, rows int) {
	t.Helper()
	switch name := filepath.Base(path); {
	case strings.HasPrefix(name, "a.jsonl"):
		writeText(t, path, rows, jsonLine)
	case name == "a.json":
		writeText(t, path, rows, func(i int) string {
			return map[bool]string{true: "[", false: ","}[i == 0] + jsonLine(i) + map[bool]string{true: "]"}[i == rows-1]
		})
	case name == "a.csv":
		writeText(t, path, rows, func(i int) string {
			head := map[bool]string{true: "question,answer\n"}[i == 0]
			c := conversationOf(i)
			quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
			return head + quote(c.Messages[1].Content) + "," + quote(c.Messages[2].Content) + "\n"
		})
	case name == "a.parquet":
		writeParquet(t, path, rows)
	case name == "a.arrow":
		writeArrow(t, path, rows)
	case name == "a.xlsx":
		writeXLSX(t, path, rows)
	}
}

func writeParquet(t testing.TB, path string, rows int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[conversation](f, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(100_000))
	for i := range rows {
		if _, err := w.Write([]conversation{conversationOf(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func writeArrow(t testing.TB, path string, rows int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	turn := arrow.StructOf(arrow.Field{Name: "role", Type: arrow.BinaryTypes.String}, arrow.Field{Name: "content", Type: arrow.BinaryTypes.String})
	schema := arrow.NewSchema([]arrow.Field{{Name: "messages", Type: arrow.ListOf(turn)}}, nil)
	w := ipc.NewWriter(f, ipc.WithSchema(schema))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	list := b.Field(0).(*array.ListBuilder)
	turns := list.ValueBuilder().(*array.StructBuilder)
	for i := range rows {
		list.Append(true)
		for _, m := range conversationOf(i).Messages {
			turns.Append(true)
			turns.FieldBuilder(0).(*array.StringBuilder).Append(m.Role)
			turns.FieldBuilder(1).(*array.StringBuilder).Append(m.Content)
		}
		if (i+1)%1000 == 0 || i == rows-1 {
			batch := b.NewRecordBatch()
			if err := w.Write(batch); err != nil {
				t.Fatal(err)
			}
			batch.Release()
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func writeXLSX(t testing.TB, path string, rows int) {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	w, err := book.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows + 1 {
		cells := []any{"question", "answer"}
		if i > 0 {
			c := conversationOf(i)
			cells = []any{c.Messages[1].Content, c.Messages[2].Content}
		}
		if err := w.SetRow(fmt.Sprint("A", i+1), cells); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), book.SaveAs(path)); err != nil {
		t.Fatal(err)
	}
}

// readRows reads a file to its end.
func readRows(t testing.TB, path string) (rows int) {
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		switch _, err := f.Next(); {
		case errors.Is(err, io.EOF):
			return rows
		case err != nil:
			t.Fatal(err)
		}
		rows++
	}
}

// BenchmarkRead reads 200,000 rows of about 1 KB.
func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.csv", "a.parquet", "a.arrow", "a.xlsx"} {
		b.Run(name, func(b *testing.B) {
			const rows = 200_000
			path := filepath.Join(b.TempDir(), name)
			writeFile(b, path, rows)
			b.ReportAllocs()
			for b.Loop() {
				if n := readRows(b, path); n != rows {
					b.Fatalf("%d rows", n)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
