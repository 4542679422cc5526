package folder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan struct{})
	go func() {
		close(begun)
		unlock, err := Lock(ctx, dir)
		if err == nil {
			err = unlock()
		}
		second <- err
	}()
	<-begun
	select {
	case err := <-second:
		t.Fatalf("two hold the folder: %v", err)
	default:
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	if unlock, err = Lock(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Lock(gone, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("without patience: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if _, err := Lock(t.Context(), filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "of [odd] name")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(dir, Temporary)
	if err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, ".tmp-folder")
	if err = os.Mkdir(sub, 0o755); err == nil {
		err = errors.Join(file.Close(), os.WriteFile(filepath.Join(sub, "x"), nil, 0o600), os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "kept" {
		t.Errorf("left: %v, %v", left, err)
	}
}
