package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// fileState is what tells whether somebody wrote into a file.
type fileState struct {
	size int64
	at   time.Time
}

// BaseFiles are the files of the base model, which a trainer may only read, by their paths.
type BaseFiles map[string]fileState

// LookAtBase looks at the files of the base model, of its tokenizer and of its adapter.
// Those whose names begin with a dot are left out, as they are of caches, and so are
// folders in the scratch folder of the job: their files are links into a cache, which
// touches them and knows their digests.
func LookAtBase(base inputs.Base, scratch string) (BaseFiles, error) {
	seen := BaseFiles{}
	for _, dir := range []string{base.Weights, base.Tokens, base.Adapter} {
		if dir == "" {
			continue
		}
		if inside, err := filepath.Rel(scratch, dir); err == nil && filepath.IsLocal(inside) {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case path != dir && strings.HasPrefix(d.Name(), "."):
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case d.IsDir():
				return nil
			}
			info, err := os.Stat(path) // through the links of a cache
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && info.Mode().IsRegular() {
				seen[path] = fileState{size: info.Size(), at: info.ModTime()}
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look at the base model: %w", err)
		}
	}
	return seen, nil
}

// differences name what is otherwise later on.
func (f BaseFiles) differences(later BaseFiles) (out []string) {
	for _, path := range slices.Sorted(maps.Keys(f)) {
		switch now, ok := later[path]; {
		case !ok:
			out = append(out, path+" is gone")
		case now.size != f[path].size || !now.at.Equal(f[path].at):
			out = append(out, path+" was written")
		}
	}
	for _, path := range slices.Sorted(maps.Keys(later)) {
		if _, ok := f[path]; !ok {
			out = append(out, path+" is new")
		}
	}
	return out
}

// Changed returns the error of a base model whose files changed while the trainer worked.
func (f BaseFiles) Changed(base inputs.Base, scratch string) error {
	const most = 3
	later, err := LookAtBase(base, scratch)
	if err != nil {
		return err
	}
	found := f.differences(later)
	if len(found) == 0 {
		return nil
	}
	if more := len(found) - most; more > 0 {
		found = append(found[:most], fmt.Sprintf("%d files more", more))
	}
	return fmt.Errorf("the base model changed while the trainer worked, which may only read it: %s; "+
		"restore the folder, and have the trainer write into output.model alone", strings.Join(found, ", "))
}
