package huggingface

import (
	"path"
	"slices"
	"strings"
)

// ofModel are the files of a model that tunebus reads; none if it has no
// safetensors.
func ofModel(all []file) []file {
	known := []string{
		"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja", "chat_template.json", "adapter_config.json", "model.safetensors.index.json",
	}
	var out []file
	weights, config := false, false
	for _, f := range all {
		if strings.Contains(f.Path, "/") {
			continue // other formats and precisions lie in folders
		}
		isWeights := path.Ext(f.Path) == ".safetensors"
		if !isWeights && !slices.Contains(known, f.Path) {
			continue
		}
		weights = weights || isWeights
		config = config || f.Path == "config.json"
		out = append(out, f)
	}
	if !weights || !config {
		return nil
	}
	return out
}

// ofDataset are the data files of a data set, of the first of these formats
// that it has.
func ofDataset(all []file) []file {
	for _, ext := range []string{".parquet", ".jsonl", ".json", ".csv", ".xlsx"} {
		var out []file
		for _, f := range all {
			name := path.Base(f.Path)
			if path.Ext(name) == ext && !strings.HasPrefix(f.Path, ".") && name != "dataset_infos.json" && name != "dataset_info.json" && name != "state.json" && name != "dataset_dict.json" {
				out = append(out, f)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// ofConversion are the files of one configuration of a data set that the Hub
// has converted, <configuration>/<split>/0000.parquet: that called default, or
// the first.
func ofConversion(all []file) []file {
	by := map[string][]file{}
	var names []string
	for _, f := range ofDataset(all) {
		name, _, _ := strings.Cut(f.Path, "/")
		if by[name] == nil {
			names = append(names, name)
		}
		by[name] = append(by[name], f)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	if files, ok := by["default"]; ok {
		return files
	}
	return by[names[0]]
}
