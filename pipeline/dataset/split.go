package dataset

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// splitOf returns the split of a file by the words of its name, or else of the
// names of its folders, the innermost first. It returns "" if no word is a split.
func splitOf(name string) source.Split {
	parts := strings.Split(strings.ToLower(name), "/")
	slices.Reverse(parts)
	for _, part := range parts {
		for word := range strings.FieldsFuncSeq(part, func(r rune) bool { return !('a' <= r && r <= 'z') }) {
			switch word {
			case "train", "training":
				return Train
			case "validation", "valid", "val", "dev":
				return Validation
			case "test", "testing":
				return Test
			}
		}
	}
	return ""
}

// chooseSplit returns the files of the requested split. Files without a split in
// their name are omitted if other files have one.
func chooseSplit(src source.Source, files []file) ([]file, error) {
	bySplit := map[source.Split][]file{}
	for _, f := range files {
		bySplit[splitOf(f.name)] = append(bySplit[splitOf(f.name)], f)
	}
	var have []source.Split
	for _, s := range []source.Split{Train, Validation, Test} {
		if len(bySplit[s]) > 0 {
			have = append(have, s)
		}
	}
	switch {
	case len(have) == 0:
		return files, nil
	case len(have) == 1:
		return bySplit[have[0]], nil
	case !slices.Contains(have, src.Split):
		return nil, &MissingSplitError{Folder: src.Path, Split: src.Split, Have: have}
	}
	return bySplit[src.Split], nil
}
