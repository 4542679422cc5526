package reader

import (
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"testing"
)

// TestMemory holds that a file is not in memory while its records are read.
func TestMemory(t *testing.T) {
	for _, name := range []string{"a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.csv", "a.parquet", "a.arrow", "a.xlsx"} {
		t.Run(name, func(t *testing.T) {
			const rows = 30_000 // 30 MB
			path := filepath.Join(t.TempDir(), name)
			writeFile(t, path, rows)
			before := liveHeap()
			f, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for n := 0; ; n++ {
				switch _, err := f.Next(); {
				case errors.Is(err, io.EOF):
					if n != rows {
						t.Errorf("%d rows", n)
					}
					return
				case err != nil:
					t.Fatal(err)
				}
				if n%(rows/3) == rows/3-1 {
					if live := liveHeap() - before; live > 12<<20 {
						t.Errorf("%d MiB are in use behind row %d", live>>20, n)
					}
				}
			}
		})
	}
}

// liveHeap is the size of what is in use.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
