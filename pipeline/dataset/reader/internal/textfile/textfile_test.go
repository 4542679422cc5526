package textfile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// TestLimited holds the bound on what a file unpacks to.
func TestLimited(t *testing.T) {
	t.Parallel()
	read, err := io.ReadAll(&limited{r: strings.NewReader("0123456789"), limit: 10})
	if err != nil || len(read) != 10 {
		t.Errorf("ten bytes: %q, %v", read, err)
	}
	tooLarge := (*tooLargeError)(nil)
	if _, err := io.ReadAll(&limited{r: strings.NewReader("0123456789a"), limit: 10}); !errors.As(err, &tooLarge) {
		t.Errorf("eleven bytes: %v", err)
	}
	file := &File{lines: 3}
	broken := (*fault.Error)(nil)
	if err := file.readError(tooLarge); !errors.As(err, &broken) || broken.Line != 4 || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("%v in line %d", err, broken.Line)
	}
}

// TestFill holds what a reader of formats sees.
func TestFill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("a\nb\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f, err := Open(ctx, path, Options{EncodingKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Fill(); err != nil || string(f.Buffered()) != "a\nb" {
		t.Errorf("%q, %v", f.Buffered(), err)
	}
	f.Consume(2)
	for range 2 {
		broken := (*fault.Error)(nil)
		if err := f.Fill(); !errors.As(err, &broken) || broken.Line != 2 || string(f.Buffered()) != "b" {
			t.Errorf("%q, %v", f.Buffered(), err)
		}
	}
	cancel()
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}
