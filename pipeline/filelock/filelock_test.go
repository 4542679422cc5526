//go:build unix

package filelock_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/pipeline/filelock"
)

const pattern = "held-*"

// TestMain is also the process that a test kills: with a folder in the
// environment it makes one in there, says its name, and holds it until its
// input ends, which the test sees to.
func TestMain(m *testing.M) {
	parent := os.Getenv("HELD_PARENT")
	if parent == "" {
		os.Exit(m.Run())
	}
	dir, err := filelock.MakeDir(parent, pattern)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir.Name())
	_ = bufio.NewScanner(os.Stdin).Scan()
}

func sweep(t *testing.T, parent string) int {
	t.Helper()
	n, err := filelock.Sweep(parent, pattern)
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestSweepLeavesTheLiving: what another process holds stays, what it left
// behind when it was killed goes, with all that is in it.
func TestSweepLeavesTheLiving(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "HELD_PARENT="+parent)
	other.Stderr = os.Stderr
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	if !said.Scan() {
		t.Fatal("it holds nothing")
	}
	if err := os.WriteFile(filepath.Join(said.Text(), "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, err := filelock.MakeDir(parent, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if n := sweep(t, parent); n != 0 {
		t.Errorf("%d folders of the living are gone", n)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err == nil {
		t.Error("it was not killed")
	}
	if n := sweep(t, parent); n != 1 {
		t.Errorf("%d folders of the dead are gone, want 1", n)
	}
	if _, err := os.Stat(said.Text()); !os.IsNotExist(err) {
		t.Errorf("%s: %v", said.Text(), err)
	}
	if err := mine.Close(); err != nil {
		t.Fatal(err)
	}
	if n := sweep(t, parent); n != 1 {
		t.Errorf("%d folders that nobody holds any more are gone, want 1", n)
	}
}

// TestSweepFollowsNoLinks: a name that somebody else made to point elsewhere
// leads nowhere, and other names are nobody's business.
func TestSweepFollowsNoLinks(t *testing.T) {
	t.Parallel()
	parent, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(parent, "held-link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(parent, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if n := sweep(t, parent); n != 0 {
		t.Errorf("%d are gone", n)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
}

// TestMakersAndSweepers: whoever was given a folder keeps it, however many
// clean up at the same time.
func TestMakersAndSweepers(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	stop := make(chan struct{})
	var makers, sweepers sync.WaitGroup
	for range 3 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					sweep(t, parent)
				}
			}
		})
	}
	for range 4 {
		makers.Go(func() {
			for range 30 {
				dir, err := filelock.MakeDir(parent, pattern)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir.Name(), "f"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := os.RemoveAll(dir.Name()); err != nil {
					t.Error(err)
				}
				_ = dir.Close() // nothing was written
			}
		})
	}
	makers.Wait()
	close(stop)
	sweepers.Wait()
}
