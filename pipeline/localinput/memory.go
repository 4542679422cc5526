package localinput

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
)

// memory is what is remembered of an input. A memory that is lost or damaged
// costs reading the input again, and for a path outside of the data roots asking
// for the run again.
type memory struct {
	Path string `json:"path"`
	// Files are its files by their paths.
	Files map[string]seen `json:"files"`
	// Accepted are the digests with which the owner of the data folder accepted
	// the input.
	Accepted []string `json:"accepted,omitempty"`
}

// seen is a file as it was when it was read.
type seen struct {
	Size   int64  `json:"size"`
	Times  string `json:"times"`
	SHA256 string `json:"sha256"`
}

// memoryPath is the file for an input.
func (f *Folder) memoryPath(input string) string {
	sum := sha256.Sum256([]byte(input))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:16])+".json")
}

// recall returns what is remembered of an input; nothing if that cannot be read.
func (f *Folder) recall(input string) memory {
	text, err := os.ReadFile(f.memoryPath(input))
	var m memory
	if err != nil || json.Unmarshal(text, &m) != nil || m.Path != input {
		return memory{Path: input}
	}
	return m
}

// remember changes what is remembered of an input.
func (f *Folder) remember(input string, change func(*memory)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.recall(input)
	change(&m)
	return atomicfile.Write(f.memoryPath(m.Path), atomicfile.JSON(m), atomicfile.Options{Perm: 0o640})
}

// settled is how long ago the last change of a file has to be before its times
// say anything: some file systems count in seconds, and a file that is written
// twice within one has the same times.
const settled = 2 * time.Second

// rememberingDigester computes digests of files, except of those that look as
// they did when they were read before.
type rememberingDigester struct {
	old, fresh map[string]seen
	changed    bool // fresh holds something that old does not
}

// digest implements [manifest.Digester].
func (r *rememberingDigester) digest(ctx context.Context, path string) (int64, string, error) {
	before, err := os.Stat(path)
	if err != nil {
		return 0, "", err
	}
	times, newest := timesOf(before)
	if s, ok := r.old[path]; ok && s.Size == before.Size() && s.Times == times && before.Mode().IsRegular() {
		r.fresh[path] = s
		return s.Size, s.SHA256, nil
	}
	began := time.Now()
	size, sum, err := manifest.Digest(ctx, path)
	if err != nil {
		return 0, "", err
	}
	after, err := os.Stat(path)
	if err != nil {
		return 0, "", err
	}
	if t, _ := timesOf(after); t != times || after.Size() != before.Size() || size != before.Size() {
		return 0, "", fmt.Errorf("%s changes while it is read", path)
	}
	if began.Sub(newest) > settled {
		r.fresh[path] = seen{Size: size, Times: times, SHA256: sum}
		r.changed = true
	}
	return size, sum, nil
}
