package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/fileglob"
)

// ReadMLflow reads a folder in MLflow's file layout into s. Temporary files, and
// runs and logged models without meta.yaml, are left over.
func ReadMLflow(dir string, s *State) error {
	experiments, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit: MLflow store: %w", err)
	}
	for _, e := range experiments {
		if _, err := strconv.ParseUint(e.Name(), 10, 64); err != nil {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("audit: MLflow store: %w", err)
		}
		for _, r := range entries {
			folder := filepath.Join(dir, e.Name(), r.Name())
			switch {
			case strings.HasPrefix(r.Name(), "."):
				s.Left = append(s.Left, folder)
			case r.Name() == "meta.yaml" || r.Name() == "datasets":
			case r.Name() == "models":
				if err := s.readLoggedModels(folder); err != nil {
					return fmt.Errorf("audit: MLflow store: %w", err)
				}
			default:
				if err := s.readTracked(folder, e.Name(), r.Name()); err != nil {
					return fmt.Errorf("audit: MLflow run %s: %w", folder, err)
				}
			}
		}
	}
	return nil
}

// readLoggedModels looks for logged models that were only written in part.
func (s *State) readLoggedModels(folder string) error {
	models, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, m := range models {
		path := filepath.Join(folder, m.Name())
		if _, err := os.Stat(filepath.Join(path, "meta.yaml")); strings.HasPrefix(m.Name(), ".") || errors.Is(err, fs.ErrNotExist) {
			s.Left = append(s.Left, path+" without meta.yaml")
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (s *State) readTracked(folder, experiment, id string) error {
	meta, err := os.ReadFile(filepath.Join(folder, "meta.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		s.Left = append(s.Left, folder+" without meta.yaml")
		return nil
	}
	if err != nil {
		return err
	}
	t := TrackedRun{
		Folder:     folder,
		ID:         id,
		Experiment: experiment,
		Metrics:    map[string][]Point{},
		Artifacts:  map[string]string{},
	}
	for line := range strings.Lines(string(meta)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "status":
			t.Status = value
		case "end_time":
			if t.EndTime, err = strconv.ParseInt(value, 10, 64); err != nil && value != "null" {
				return err
			}
		}
	}
	if t.Tags, err = s.readKeys(folder, "tags"); err != nil {
		return err
	}
	if t.Params, err = s.readKeys(folder, "params"); err != nil {
		return err
	}
	metrics, err := s.readKeys(folder, "metrics")
	if err != nil {
		return err
	}
	for key, text := range metrics {
		for line := range strings.Lines(text) {
			var p Point
			if _, err := fmt.Sscan(line, &p.Time, &p.Value, &p.Step); err != nil {
				return fmt.Errorf("metric %s: line %q: %w", key, line, err)
			}
			t.Metrics[key] = append(t.Metrics[key], p)
		}
	}
	err = s.walkFiles(filepath.Join(folder, "artifacts"), func(name, path string) error {
		o, err := readObject(path)
		t.Artifacts[name] = o.SHA256
		return err
	})
	if err != nil {
		return err
	}
	left, err := fileglob.In(folder, ".*")
	s.Left = append(s.Left, left...)
	s.Tracked = append(s.Tracked, t)
	return err
}

// readKeys reads a folder with one file for each key.
func (s *State) readKeys(folder, kind string) (map[string]string, error) {
	out := map[string]string{}
	return out, s.walkFiles(filepath.Join(folder, kind), func(name, path string) error {
		body, err := os.ReadFile(path)
		out[name] = string(body)
		return err
	})
}

// walkFiles calls do with each file below a folder and its name relative to the
// folder. Hidden files are left over.
func (s *State) walkFiles(folder string, do func(name, path string) error) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == folder {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") {
			s.Left = append(s.Left, path)
			return nil
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		return do(filepath.ToSlash(rel), path)
	})
}
