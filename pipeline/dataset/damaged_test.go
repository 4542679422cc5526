package dataset

import (
	"os"
	"path/filepath"
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
