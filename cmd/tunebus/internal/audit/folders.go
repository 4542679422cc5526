package audit

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
)

// storeID is the object that holds a store's own id.
const storeID = ".tunebus-store"

// artifact takes an object of the store in; the store's own id is one.
func (s *State) artifact(key string, o Object) {
	if key == storeID {
		s.Store = strings.TrimSpace(string(o.Content))
		return
	}
	s.Artifacts[key] = o
}

// ReadArtifacts reads a store of files into s. Whatever is no artifact is left
// over: a file that is being written, a folder with nothing in it.
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
			inside, err := os.ReadDir(path)
			if err == nil && len(inside) == 0 && key != "." && key != ".partial" {
				s.Left = append(s.Left, "empty folder "+path)
			}
			return err
		}
		if strings.HasPrefix(key, ".") && key != storeID {
			s.Left = append(s.Left, path)
			return nil
		}
		o, err := readObject(path)
		s.artifact(key, o)
		return err
	})
}

// readObject reads a file; its content is kept if it is small.
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

// ReadReports reads a folder of reports into s.
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
		run, name, below := strings.Cut(filepath.ToSlash(rel), "/")
		body, err := os.ReadFile(path)
		switch {
		case err != nil:
			return fmt.Errorf("audit: reports: %w", err)
		case strings.HasPrefix(d.Name(), "."):
			s.Left = append(s.Left, path)
		case below:
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

// ReadScratch finds what is left in a folder for temporary files.
func ReadScratch(dir string, s *State) error {
	for _, pattern := range []string{"tunebus-*", ".fetch-*", ".tmp-*"} {
		left, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("audit: scratch folder: %w", err)
		}
		slices.Sort(left)
		s.Left = append(s.Left, left...)
	}
	return nil
}
