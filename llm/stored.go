package llm

import (
	"errors"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// StoredType is the type of the weights of a checkpoint, "float32", "float16" or
// "bfloat16": that of most of them.
func StoredType(dir string) (string, error) {
	paths, err := WeightFiles(dir)
	if err != nil {
		return "", err
	}
	sizes := map[string]int64{}
	for _, path := range paths {
		f, err := openTensors(path)
		if err != nil {
			return "", err
		}
		for _, t := range f.Tensors() {
			sizes[t.DType] += t.Size()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	most := "float32"
	for _, name := range []string{"float32", "float16", "bfloat16"} {
		kind, _ := safetensors.DType(name)
		if than, _ := safetensors.DType(most); sizes[kind] > sizes[than] {
			most = name
		}
	}
	return most, nil
}
