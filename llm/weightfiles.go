package llm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// IndexFile says which tensor of a checkpoint lies in which of several files.
const IndexFile = "model.safetensors.index.json"

// WeightFiles lists the files with the weights of a checkpoint: the shards that
// the index names, or model.safetensors.
func WeightFiles(dir string) ([]string, error) {
	index := filepath.Join(dir, IndexFile)
	body, err := os.ReadFile(index)
	if os.IsNotExist(err) {
		return []string{filepath.Join(dir, "model.safetensors")}, nil
	}
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
