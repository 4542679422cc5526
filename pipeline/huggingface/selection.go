package huggingface

import (
	"path"
	"slices"
	"strings"
)

// modelFiles returns the files of a model that tunebus reads. It returns none
// if the model has no config.json or no safetensors.
func modelFiles(all []file) []file {
	known := []string{
		"config.json", "generation_config.json", "adapter_config.json", "model.safetensors.index.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja", "chat_template.json",
	}
	var out []file
	weights, config := false, false
	for _, f := range all {
		if strings.Contains(f.Path, "/") {
			continue // subfolders have other formats and precisions
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

// datasetFiles returns the data files of a data set. If it has files of several
// formats, it returns those of the first format below.
func datasetFiles(all []file) []file {
	for _, ext := range []string{".parquet", ".jsonl", ".json", ".csv", ".xlsx"} {
		var out []file
		for _, f := range all {
			name := path.Base(f.Path)
			if path.Ext(name) == ext && !strings.HasPrefix(f.Path, ".") && !IsDatasetMetadata(name) {
				out = append(out, f)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// IsDatasetMetadata reports whether a file of a data set, by the name without
// its folder, describes the data set and has no rows of it. The names are those
// that the library datasets writes.
func IsDatasetMetadata(name string) bool {
	switch name {
	case "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json":
		return true
	}
	return false
}

// convertedFiles returns the files of one configuration of the Hub's conversion
// to Parquet, <configuration>/<split>/0000.parquet: of the configuration called
// default, or else of the first one.
func convertedFiles(all []file) []file {
	byConfiguration := map[string][]file{}
	var names []string
	for _, f := range datasetFiles(all) {
		name, _, _ := strings.Cut(f.Path, "/")
		if byConfiguration[name] == nil {
			names = append(names, name)
		}
		byConfiguration[name] = append(byConfiguration[name], f)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	if files, ok := byConfiguration["default"]; ok {
		return files
	}
	return byConfiguration[names[0]]
}
