package source

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Source is a data set as a specification names it, and where it is.
type Source struct {
	// Path is the file or folder on this machine. No error names it.
	Path string
	// Key is the key of the specification that names the data set, such as
	// fine_tuner.training_data_id. Errors name it.
	Key string
	// Name is the value of the key, as the person wrote it: a path or an id. Errors
	// name it. Empty means Path.
	Name string
	// Selection is what Name selects of the folder or the repository.
	Selection Selection
	// Split is the split that the phase reads if Selection names none. Empty means
	// no particular one.
	Split Split
	// SharedWith is another data key that names the same folder or repository.
	// Empty means none. If there is one, a folder that lacks Split is not read.
	SharedWith string
	// SharedSelection is what that key selects.
	SharedSelection Selection
	// Again is set if that key stands before this one. Where both mean the same rows, the
	// later one tells.
	Again bool
}

// Selection is a part of a data set. The zero value selects nothing in particular.
type Selection struct {
	// Name is a configuration, or a split if there is no configuration of that
	// name. If it is not empty, Config and Split are.
	Name string
	// Config is a configuration.
	Config string
	// Split is a split.
	Split Split
}

// IsZero reports whether nothing is selected.
func (s Selection) IsZero() bool { return s == Selection{} }

// String is the selection as it stands behind a data set's place, with its colon.
func (s Selection) String() string {
	switch {
	case s.IsZero():
		return ""
	case s.Name != "":
		return ":" + s.Name
	case s.Split == "":
		return ":" + s.Config
	}
	return ":" + s.Config + "/" + string(s.Split)
}

// Split is the name of the part of a data set for one use.
type Split string

// The splits of the phases.
const (
	Train      Split = "train"
	Validation Split = "validation"
	Test       Split = "test"
)

// selection matches what stands behind the last colon of a name. A name of the Hub
// has no blank in it.
var selection = regexp.MustCompile(`^(.+):([^\s:/\\]*)(?:/([^\s:/\\]+))?$`)

// dataFile matches the names of data files.
var dataFile = regexp.MustCompile(`(?i)\.((jsonl|ndjson|json|csv|tsv)(\.(gz|zst))?|parquet|arrow|feather|xlsx)$`)

// IsDataFile reports whether a name ends as those of data files do.
func IsDataFile(name string) bool { return dataFile.MatchString(name) }

// Extension is the extension of a data file by which its format is known, in lower
// case and with the one of a compression, such as .jsonl.gz. It is empty for other
// files.
func Extension(name string) string { return strings.ToLower(dataFile.FindString(name)) }

// Parse separates the name of a data set into its place, which is a path or an id
// of the Hub, and the selection behind it.
func Parse(name string) (place string, s Selection) {
	m := selection.FindStringSubmatch(name)
	if m == nil || IsDataFile(name) || len(m[1]) == 1 && m[3] != "" && filepath.Separator == '\\' {
		return name, Selection{}
	}
	switch {
	case m[3] != "":
		return m[1], Selection{Config: m[2], Split: Split(m[3])}
	case m[2] == "":
		return name, Selection{} // a colon with nothing behind it
	}
	return m[1], Selection{Name: m[2]}
}

// Same reports whether two names have the same place, which is a folder or a
// repository at any revision.
func Same(a, b string) bool {
	clean := func(name string) string {
		place, _ := Parse(name)
		place, _, _ = strings.Cut(place, "@")
		return path.Clean(filepath.ToSlash(place))
	}
	return clean(a) == clean(b)
}
