package llm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// IndexFile says which tensor of a checkpoint lies in which of several files.
const IndexFile = "model.safetensors.index.json"

// WholeFile has all tensors of a checkpoint.
const WholeFile = "model.safetensors"

// WeightFiles lists the files with the weights of a checkpoint: model.safetensors,
// or the shards that the index names. Where both are there, transformers reads
// model.safetensors, too.
func WeightFiles(dir string) ([]string, error) {
	index := filepath.Join(dir, IndexFile)
	if whole := filepath.Join(dir, WholeFile); exists(whole) || !exists(index) {
		return []string{whole}, nil
	}
	body, err := regularfile.Read(index)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	var got struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, &CheckpointError{File: index, Err: err}
	}
	seen := map[string]bool{}
	var files []string
	for _, f := range got.WeightMap {
		if !filepath.IsLocal(f) {
			return nil, &CheckpointError{File: index, Err: fmt.Errorf("shard %q lies outside of the folder", f)}
		}
		if !seen[f] {
			seen[f] = true
			files = append(files, filepath.Join(dir, f))
		}
	}
	return files, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// HasBoth reports whether a checkpoint has model.safetensors and an index of shards,
// of which the former is read.
func HasBoth(dir string) bool {
	return exists(filepath.Join(dir, WholeFile)) && exists(filepath.Join(dir, IndexFile))
}
