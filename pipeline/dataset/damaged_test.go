package dataset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDamagedFiles turns a bit of one byte after the other of a file of a binary
// format over. Whatever that makes of it, reading ends with rows or an error.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for name, whole := range map[string]string{"data.parquet": parquetBytes(t, 2), "data.xlsx": xlsxBytes(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			refused := 0
			for at := 0; at < len(whole); at += 1 + len(whole)/3000 {
				body := []byte(whole)
				body[at] ^= 0x10 // enough to make parquet-go and excelize panic now and then
				if err := os.WriteFile(path, body, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := Open(t.Context(), Source{Path: path}, qa); err != nil {
					refused++
				}
			}
			if refused < 100 {
				t.Errorf("only %d damages were noticed", refused)
			}
		})
	}
}

// TestWorkbookThatLies: a small workbook that says that its parts are large
// costs no memory.
func TestWorkbookThatLies(t *testing.T) {
	whole := []byte(xlsxBytes(t))
	entries := 0
	for at := 0; ; entries++ { // of the ZIP file's directory; APPNOTE.TXT, 4.3.12
		next := strings.Index(string(whole[at:]), "PK\x01\x02")
		if next < 0 {
			break
		}
		at += next + 4
		binary.LittleEndian.PutUint32(whole[at+20:], 3<<30)
	}
	path := filepath.Join(t.TempDir(), "data.xlsx")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Open(t.Context(), Source{Path: path}, qa)
	runtime.ReadMemStats(&after)
	if err == nil || entries < 5 {
		t.Errorf("opened, with %d parts that lie", entries)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
}
