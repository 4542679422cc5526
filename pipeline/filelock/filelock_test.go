//go:build unix

package filelock_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/pipeline/filelock"
)

const pattern = "locked-*"

// parentVariable names the folder in which a child process makes and locks a
// folder.
const parentVariable = "FILELOCK_TEST_PARENT"

// TestMain is also the main function of the child process that a test kills:
// it makes a locked folder, prints its name, and keeps the lock until its
// input ends.
func TestMain(m *testing.M) {
	parent := os.Getenv(parentVariable)
	if parent == "" {
		os.Exit(m.Run())
	}
	dir, err := filelock.MkdirLocked(parent, pattern)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir.Name())
	_ = bufio.NewScanner(os.Stdin).Scan()
}

func removeUnlocked(t *testing.T, parent string) int {
	t.Helper()
	n, err := filelock.RemoveUnlocked(parent, pattern)
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestRemoveUnlockedLeavesLivingProcesses: a folder that another process has
// locked stays. The folder that it left behind when it was killed is removed,
// with its content.
func TestRemoveUnlockedLeavesLivingProcesses(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), parentVariable+"="+parent)
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
	printed := bufio.NewScanner(out)
	if !printed.Scan() {
		t.Fatal("the process locked nothing")
	}
	if err := os.WriteFile(filepath.Join(printed.Text(), "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, err := filelock.MkdirLocked(parent, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if n := removeUnlocked(t, parent); n != 0 {
		t.Errorf("%d locked folders were removed", n)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	if n := removeUnlocked(t, parent); n != 1 {
		t.Errorf("%d folders of the killed process were removed, want 1", n)
	}
	if _, err := os.Stat(printed.Text()); !os.IsNotExist(err) {
		t.Errorf("%s: %v", printed.Text(), err)
	}
	if err := mine.Close(); err != nil {
		t.Fatal(err)
	}
	if n := removeUnlocked(t, parent); n != 1 {
		t.Errorf("%d folders that are no longer locked were removed, want 1", n)
	}
}

// TestRemoveUnlockedFollowsNoLinks: a link is not followed, and names that do
// not match stay.
func TestRemoveUnlockedFollowsNoLinks(t *testing.T) {
	t.Parallel()
	parent, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(parent, "locked-link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(parent, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if n := removeUnlocked(t, parent); n != 0 {
		t.Errorf("%d entries were removed", n)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
}

// TestRemoveUnlockedTakesFilesToo: files and folders that match are removed,
// whatever characters the name of their parent has.
func TestRemoveUnlockedTakesFilesToo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "of [odd] name")
	if n, err := filelock.RemoveUnlocked(dir, pattern); n != 0 || err != nil {
		t.Errorf("a folder that does not exist: %d, %v", n, err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "locked-folder")
	if err = os.Mkdir(sub, 0o755); err == nil {
		err = errors.Join(file.Close(), os.WriteFile(filepath.Join(sub, "x"), nil, 0o600), os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := removeUnlocked(t, dir); n != 2 {
		t.Errorf("%d entries were removed, want 2", n)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestMkdirLockedBesideRemoveUnlocked: a folder that was handed out stays,
// however many cleanups run at the same time.
func TestMkdirLockedBesideRemoveUnlocked(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	stop := make(chan struct{})
	var makers, cleanups sync.WaitGroup
	for range 3 {
		cleanups.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					removeUnlocked(t, parent)
				}
			}
		})
	}
	for range 4 {
		makers.Go(func() {
			for range 30 {
				dir, err := filelock.MkdirLocked(parent, pattern)
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
	cleanups.Wait()
}
