// Package folder lets goroutines and processes that write one folder take
// turns, such as two trackers that share the folder of the reports.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// patience is how long a turn is waited for. A process that is stopped may
// keep its turn for as long as it likes; a dead one keeps nothing.
const patience = 10 * time.Second

// Lock waits for the caller's turn at a folder that exists. The lock is the
// system's, on the folder itself: it leaves no file behind, and ends with the
// process.
func Lock(ctx context.Context, dir string) (unlock func() error, err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lock := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	if _, err := lock.TryLockContext(waiting, 2*time.Millisecond); err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			err = fmt.Errorf("somebody else has held it for %s", patience)
		}
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	return lock.Unlock, nil
}

// Temporary is the pattern of files and folders that are on their way to
// another name, for [os.CreateTemp] and [os.MkdirTemp].
const Temporary = ".tmp-*"

// Sweep removes what writers that died left on its way. Whoever calls it has
// to know that nobody is writing there, as behind [Lock].
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), strings.TrimSuffix(Temporary, "*")) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("sweep folder %s: %w", dir, err)
	}
	return nil
}
