package dataset

import (
	"slices"
	"strings"
)

// Split is a part of a data set that is made for one use.
type Split string

// The splits.
const (
	Train      Split = "train"
	Validation Split = "validation"
	Test       Split = "test"
)

// splitOf tells a file's split by the words of its name, or else of its
// folders' names, the inner ones first; empty if no word tells one.
func splitOf(name string) Split {
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

// chooseSplit answers the files of the split that src asks for. Files whose
// names tell no split are left out where others' do.
func chooseSplit(src Source, files []file) ([]file, error) {
	bySplit := map[Split][]file{}
	for _, f := range files {
		bySplit[splitOf(f.name)] = append(bySplit[splitOf(f.name)], f)
	}
	var have []Split
	for _, s := range []Split{Train, Validation, Test} {
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
