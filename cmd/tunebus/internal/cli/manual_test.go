package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManualReplacesPagesAlone: pages of the program are replaced, and nothing else is, nor is anything
// written then.
func TestManualReplacesPagesAlone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{"": 0, ".TH \"TUNEBUS\" \"1\" \"\" \"tunebus\" \"tunebus manual\"\nof another version\n": 0, "mine\n": 2, ".TH \"TUNEBUS\" \"1\"\n": 2} {
		dir := t.TempDir()
		page := filepath.Join(dir, "tunebus.1")
		if err := os.WriteFile(page, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		var screen bytes.Buffer
		status := Main(t.Context(), []string{"man", dir}, io.Discard, &screen)
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		refused := string(now) == body && len(left) == 1 && strings.Contains(screen.String(), page+" is there and no page that tunebus wrote")
		if status != want || refused != (want != 0) {
			t.Errorf("%q: status %d, %d files\n%s", body, status, len(left), &screen)
		}
	}
}
