package huggingface

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// modelFiles returns the files of a model that tunebus reads. It returns none
// if the model has no config.json or no safetensors.
func modelFiles(all []hubapi.File) []hubapi.File {
	known := []string{
		"config.json", "generation_config.json", "adapter_config.json", "model.safetensors.index.json",
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja", "chat_template.json",
	}
	var out []hubapi.File
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

// selection is what is downloaded of a repository.
type selection struct {
	files []hubapi.File
	// card, if not nil, is written as the card of the data set.
	card []byte
}

// dataFiles returns the data files of a list.
func dataFiles(all []hubapi.File) []hubapi.File {
	var out []hubapi.File
	for _, f := range all {
		name := path.Base(f.Path)
		if source.IsDataFile(name) && !strings.HasPrefix(f.Path, ".") && !IsDatasetMetadata(name) {
			out = append(out, f)
		}
	}
	return out
}

// datasetFiles returns the data files of the configuration that a source selects. If
// no card says which these are, and the data set has files of several formats, it
// returns those of the first format below.
func datasetFiles(all []hubapi.File, card []byte, src source.Source) (selection, error) {
	all = dataFiles(all)
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Path
	}
	l, err := layout.Of(names, card)
	if err != nil {
		return selection{}, err
	}
	if l.HasCard {
		config, _, err := l.Config(src)
		if err != nil {
			return selection{}, err
		}
		chosen := config.Files()
		return selection{files: slices.DeleteFunc(all, func(f hubapi.File) bool { return !slices.Contains(chosen, f.Path) })}, nil
	}
	for _, format := range []string{".parquet", ".jsonl", ".json", ".csv", ".xlsx", ".ndjson", ".tsv", ".arrow", ".feather"} {
		out := slices.DeleteFunc(slices.Clone(all), func(f hubapi.File) bool {
			ext := source.Extension(f.Path)
			return ext != format && !strings.HasPrefix(ext, format+".")
		})
		if len(out) > 0 {
			return selection{files: out}, nil
		}
	}
	return selection{}, nil
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

// convertedFiles returns the files of the configuration of the Hub's conversion to
// Parquet that a source selects, <configuration>/<split>/0000.parquet, and a card
// that names all configurations. Where none is selected, it is the one called
// default, or else the first one.
func convertedFiles(all []hubapi.File, src source.Source) (selection, error) {
	all = dataFiles(all)
	slices.SortStableFunc(all, func(a, b hubapi.File) int { return strings.Compare(a.Path, b.Path) })
	splits := map[string][]string{} // by configuration
	for _, f := range all {
		parts := strings.Split(f.Path, "/")
		if len(parts) == 3 && !slices.Contains(splits[parts[0]], parts[1]) {
			splits[parts[0]] = append(splits[parts[0]], parts[1])
		}
	}
	names := slices.Sorted(maps.Keys(splits))
	if len(names) == 0 {
		return selection{}, nil
	}
	byDefault := names[0]
	if splits["default"] != nil {
		byDefault = "default"
	}
	var card strings.Builder
	card.WriteString("---\nconfigs:\n")
	for _, name := range names {
		fmt.Fprintf(&card, "- config_name: %q\n  default: %t\n  data_files:\n", name, name == byDefault)
		for _, split := range splits[name] {
			fmt.Fprintf(&card, "  - split: %q\n    path: %q\n", split, name+"/"+split+"/*.parquet")
		}
	}
	card.WriteString("---\n")
	out, err := datasetFiles(all, []byte(card.String()), src)
	out.card = []byte(card.String())
	return out, err
}
