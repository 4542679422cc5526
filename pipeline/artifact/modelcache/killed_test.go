package modelcache_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/modelcache"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
)

// folderInEnv names the folder of TestKilledFetch in the process that is killed.
const folderInEnv = "MODELCACHE_KILLED_FETCH"

// elsewhere is a store whose objects are no files of this machine, and which counts
// what is read. It stops for ever in the middle of one object, if stopAt names it.
type elsewhere struct {
	*artifact.Store

	stopAt string
	mu     sync.Mutex
	read   []string // sizes of the objects, but for manifests
}

func (e *elsewhere) Locate(events.Reference) (string, bool) { return "", false }

func (e *elsewhere) Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error) {
	if !manifest.Is(ref) {
		e.mu.Lock()
		e.read = append(e.read, fmt.Sprint(ref.Size))
		e.mu.Unlock()
	}
	r, err := e.Store.Get(ctx, ref)
	if err == nil && ref.SHA256 == e.stopAt {
		r = &stopping{ReadCloser: r, left: ref.Size / 2}
	}
	return r, err
}

// stopping gives the first half, says so, and then nothing for ever.
type stopping struct {
	io.ReadCloser

	left int64
}

func (s *stopping) Read(p []byte) (int, error) {
	if s.left == 0 {
		fmt.Println("half of it is there")
		select {}
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// TestKilledFetch kills a process in the middle of the second of three files of a
// model. The next one takes the first file from the cache, and fetches the others
// whole.
func TestKilledFetch(t *testing.T) {
	dir := os.Getenv(folderInEnv)
	isVictim := dir != ""
	if !isVictim {
		dir = t.TempDir()
	}
	store, err := artifact.Open(t.Context(), "file://"+filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	model := map[string]string{"a.bin": strings.Repeat("a", 1000), "b.bin": strings.Repeat("b", 200_000), "c.bin": strings.Repeat("c", 3000)}
	source := filepath.Join(dir, "model")
	for name, text := range model {
		if err := os.MkdirAll(source, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := manifest.Of(t.Context(), source, manifest.Digest)
	if err != nil {
		t.Fatal(err)
	}
	s := &elsewhere{Store: store}
	files := transfer.NewCached(s, modelcache.New(filepath.Join(dir, "scratch"), 1<<30))
	ref, err := files.PutDir(t.Context(), "runs/r/model", source)
	if err != nil {
		t.Fatal(err)
	}
	if isVictim {
		s.stopAt = listed.Files[1].SHA256
		err := files.OpenDir(t.Context(), ref, filepath.Join(dir, "job-1"))
		t.Fatalf("nobody killed the process: %v", err)
	}

	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledFetch$", "-test.v")
	victim.Env = append(os.Environ(), folderInEnv+"="+dir)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines, half := bufio.NewScanner(out), false
	for !half && lines.Scan() {
		half = strings.Contains(lines.Text(), "half of it is there")
	}
	if err := victim.Process.Kill(); err != nil || !half {
		t.Fatalf("half of a file: %t, %v", half, err)
	}
	_ = victim.Wait() // it was killed

	for job, want := range [][]string{{"200000", "3000"}, nil} {
		s.read = nil
		to := filepath.Join(dir, fmt.Sprintf("job-%d", job+2))
		if err := files.OpenDir(t.Context(), ref, to); err != nil {
			t.Fatal(err)
		}
		for name, text := range model {
			if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != text {
				t.Errorf("%s has %d bytes, %v", name, len(got), err)
			}
		}
		slices.Sort(s.read)
		if !slices.Equal(s.read, want) {
			t.Errorf("fetched files of the sizes %q, want %q", s.read, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "scratch", "*", "fetch-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}
