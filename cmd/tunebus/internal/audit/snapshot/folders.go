package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/fileglob"
)

// storeIDKey is the key of the object with the id of the store.
const storeIDKey = ".tunebus-store"

// addObject adds an object of the store, or the id of the store.
func (s *State) addObject(key string, o Object) {
	if key == storeIDKey {
		s.Store = strings.TrimSpace(string(o.Content))
		return
	}
	s.Artifacts[key] = o
}

// ReadArtifacts reads an artifact store in a folder into s. Partial files and
// empty folders are left over.
func ReadArtifacts(dir string, s *State) error {
	s.Artifacts = map[string]Object{}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("audit: artifacts: %w", err)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if d.IsDir() {
			entries, err := os.ReadDir(path)
			if err == nil && len(entries) == 0 && key != "." && key != ".partial" {
				s.Left = append(s.Left, "empty folder "+path)
			}
			return err
		}
		if strings.HasPrefix(key, ".") && key != storeIDKey {
			s.Left = append(s.Left, path)
			return nil
		}
		o, err := readObject(path)
		s.addObject(key, o)
		return err
	})
}

// readObject reads a file. The object has the content only if it is small.
func readObject(path string) (Object, error) {
	const small = 4 << 20
	f, err := os.Open(path)
	if err != nil {
		return Object{}, fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	content, err := io.ReadAll(io.LimitReader(io.TeeReader(f, h), small))
	if err != nil {
		return Object{}, fmt.Errorf("audit: %s: %w", path, err)
	}
	rest, err := io.Copy(h, f)
	if err != nil {
		return Object{}, fmt.Errorf("audit: %s: %w", path, err)
	}
	o := Object{Size: int64(len(content)) + rest, SHA256: hex.EncodeToString(h.Sum(nil))}
	if rest == 0 {
		o.Content = content
	}
	return o, nil
}

// ReadReports reads a report folder into s.
func ReadReports(dir string, s *State) error {
	s.Reports = map[string]map[string][]byte{}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		run, name, inRun := strings.Cut(filepath.ToSlash(rel), "/")
		body, err := os.ReadFile(path)
		switch {
		case err != nil:
			return fmt.Errorf("audit: reports: %w", err)
		case strings.HasPrefix(d.Name(), "."):
			s.Left = append(s.Left, path)
		case inRun:
			if s.Reports[run] == nil {
				s.Reports[run] = map[string][]byte{}
			}
			s.Reports[run][name] = body
		case run == "runs.json":
			if err := json.Unmarshal(body, &s.List); err != nil {
				return fmt.Errorf("audit: list of runs: %w", err)
			}
		}
		return nil
	})
}

// ReadScratch adds the temporary files and folders in dir to s.Left. The cache of
// models stays for further jobs.
func ReadScratch(dir string, s *State) error {
	for _, pattern := range []string{"tunebus-*", ".fetch-*", ".tmp-*"} {
		left, err := fileglob.In(dir, pattern)
		if err != nil {
			return fmt.Errorf("audit: scratch folder: %w", err)
		}
		left = slices.DeleteFunc(left, func(path string) bool { return strings.HasPrefix(filepath.Base(path), "tunebus-models-") })
		slices.Sort(left)
		s.Left = append(s.Left, left...)
	}
	return nil
}
