package dataset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDamagedFiles flips a bit of one byte after the other in files of binary
// formats: reading always ends with rows or an error.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for name, whole := range map[string]string{"data.parquet": parquetBytes(t, 2), "data.xlsx": xlsxBytes(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			refused := 0
			for at := 0; at < len(whole); at += 1 + len(whole)/3000 {
				body := []byte(whole)
				body[at] ^= 0x10 // some of these make parquet-go and excelize panic
				if err := os.WriteFile(path, body, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := Open(t.Context(), Source{Path: path}, qa); err != nil {
					refused++
				}
			}
			if refused < 100 {
				t.Errorf("only %d damages were detected", refused)
			}
		})
	}
}

// TestWorkbookWithWrongSizes: a small workbook that declares large parts does not
// need much memory.
func TestWorkbookWithWrongSizes(t *testing.T) {
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
		t.Errorf("opened, with %d parts of wrong size", entries)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it allocated %d MiB", took>>20)
	}
}
