package merge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// source is the weights of a checkpoint.
type source struct {
	files   []*safetensors.File
	tensors []tensor          // in the order in which they are written
	byName  map[string]tensor // by their names as [llm.PartName] has them
}

// tensor is a tensor and its file.
type tensor struct {
	safetensors.Tensor
	file *safetensors.File
}

// open opens all files with the weights of a checkpoint.
func open(dir string) (*source, error) {
	paths, err := llm.WeightFiles(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	s := &source{byName: map[string]tensor{}}
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, errors.Join(&llm.CheckpointError{File: path, Err: err}, s.close())
		}
		s.files = append(s.files, f)
		for _, t := range f.Tensors() {
			if _, twice := s.find(t.Name); twice {
				return nil, errors.Join(&llm.CheckpointError{File: path, Tensor: t.Name, Err: errors.New("is in an earlier file, too")}, s.close())
			}
			s.add(tensor{Tensor: t, file: f})
		}
	}
	return s, nil
}

func (s *source) add(t tensor) {
	s.byName[llm.PartName(t.Name)] = t
	s.tensors = append(s.tensors, t)
}

func (s *source) close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func (s *source) find(name string) (tensor, bool) {
	t, ok := s.byName[llm.PartName(name)]
	return t, ok
}

// index is model.safetensors.index.json.
type index struct {
	Metadata struct {
		TotalSize int64 `json:"total_size"`
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

func (ix index) write(dir string) error {
	body, err := json.MarshalIndent(ix, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, llm.IndexFile), append(body, '\n'), 0o644)
}

// counted counts what is read, and ends with its context.
type counted struct {
	ctx context.Context //nolint:containedctx // lives for one copy
	r   io.Reader
	on  func(int64)
}

// Read implements [io.Reader].
func (c *counted) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(p)
	c.on(int64(n))
	return n, err
}
