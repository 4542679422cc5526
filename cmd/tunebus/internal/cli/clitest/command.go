package clitest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
)

// Run runs a command and returns its exit status, stdout and stderr.
func Run(t *testing.T, args ...string) (status int, out, screen string) {
	t.Helper()
	var o, s bytes.Buffer
	status = cli.Main(t.Context(), args, &o, &s)
	return status, o.String(), s.String()
}

// RunOn runs a command whose screen is a writer.
func RunOn(t *testing.T, screen io.Writer, args ...string) (status int) {
	t.Helper()
	return cli.Main(t.Context(), args, io.Discard, screen)
}

// RunWithInput runs a command on an input.
func RunWithInput(t *testing.T, in io.Reader, args ...string) (status int, out, screen string) {
	t.Helper()
	var o, s bytes.Buffer
	status = cli.MainWithInput(t.Context(), args, in, &o, &s)
	return status, o.String(), s.String()
}

// Result runs a command that has to succeed, and reads its JSON.
func Result(t *testing.T, to any, args ...string) {
	t.Helper()
	status, out, screen := Run(t, append(args, "--json")...)
	if status != 0 {
		t.Fatalf("%v: status %d\n%s", args, status, screen)
	}
	if err := json.Unmarshal([]byte(out), to); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0) // this file is always known
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "..")
}

// Quickstart is the committed specification that the manual begins with.
func Quickstart() string { return filepath.Join(Root(), "configs", "quickstart.toml") }

// Folders are flags that keep a run inside a folder of the test.
func Folders(dir string) []string { return FoldersBeside(dir, dir+"/data") }

// FoldersBeside is [Folders] with another data folder.
func FoldersBeside(dir, data string) []string {
	return []string{"--data", data, "--reports", dir + "/reports", "--tracking-uri", "file:" + dir + "/mlruns", "--relaxed-sync"}
}

// Up starts "tunebus up" and returns the address of its NATS server. The
// services end with the test.
func Up(t *testing.T, dir string) string {
	t.Helper()
	url, _ := UpWithScreen(t, dir)
	return url
}

// lockedBuffer is a screen that a test reads while a command writes.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// UpWithScreen is [Up]; it also returns what the screen shows so far.
func UpWithScreen(t *testing.T, dir string) (url string, shown func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var screen lockedBuffer
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, append([]string{"up", "--json", "--port", "0"}, Folders(dir)...), w, &screen)
		_ = w.Close() // of a pipe: never fails
	}()
	t.Cleanup(func() {
		cancel()
		if status := <-done; status != 0 {
			t.Errorf("up ended with status %d\n%s", status, screen.String())
		}
	})
	var ready struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(bufio.NewReader(r)).Decode(&ready); err != nil {
		t.Fatalf("%v\n%s", err, screen.String())
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // ends when up closes its side
	return ready.URL, screen.String
}

// Eventually waits for a condition.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(8 * time.Minute) // a tracker tries again after two minutes, perhaps twice
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
