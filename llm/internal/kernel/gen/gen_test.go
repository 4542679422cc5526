package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestWrittenFilesAreFresh: what is committed is what this command writes.
func TestWrittenFilesAreFresh(t *testing.T) {
	t.Parallel()
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale; run go generate in llm/internal/kernel: %v", name, err)
		}
	}
}
