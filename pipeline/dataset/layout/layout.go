package layout

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// Layout has the configurations of a folder.
type Layout struct {
	// Configs are those of the card, or one without a name with all files.
	Configs []Config
	// Folders are the folders of a folder without a card, as configurations.
	Folders []Config
	// HasCard says that the configurations are those of a card.
	HasCard bool
}

// Config is a configuration.
type Config struct {
	Name string
	// IsDefault says that it is read where none is named.
	IsDefault bool
	Splits    []SplitFiles
	// Unsplit are files whose names say no split, while others do. They belong to
	// no split.
	Unsplit []string
}

// SplitFiles are the files of a split.
type SplitFiles struct {
	// Split is empty for files whose names say none.
	Split source.Split
	// Files are relative to the folder, with "/"; sorted.
	Files []string
}

// Of returns the layout of a folder with these data files, whose names are relative
// to it, with "/". card is the content of its card, nil if it has none.
func Of(files []string, card []byte) (Layout, error) {
	configs, err := parseCard(card)
	if err != nil {
		return Layout{}, err
	}
	var l Layout
	if err := bound(configs, files); err != nil {
		return Layout{}, err
	}
	for _, c := range configs {
		l.Configs = append(l.Configs, c.config(files))
	}
	if l.HasCard = len(l.Configs) > 0; l.HasCard {
		return l, nil
	}
	all := Config{IsDefault: true}
	all.Splits, all.Unsplit = splitsOf(files)
	l.Configs = []Config{all}
	byFolder := map[string][]string{}
	for _, f := range files {
		folder, rest, ok := strings.Cut(f, "/")
		if ok && wordSplit(folder) == "" {
			byFolder[folder] = append(byFolder[folder], rest)
		}
	}
	for folder, inside := range byFolder {
		c := Config{Name: folder}
		c.Splits, c.Unsplit = splitsOf(inside)
		for i := range c.Splits {
			for j, f := range c.Splits[i].Files {
				c.Splits[i].Files[j] = folder + "/" + f
			}
		}
		l.Folders = append(l.Folders, c)
	}
	slices.SortFunc(l.Folders, func(a, b Config) int { return strings.Compare(a.Name, b.Name) })
	return l, nil
}

// The bounds of what comparing the patterns of a card with the files may take. The
// time for braces grows exponentially with their number.
const (
	maxBraces      = 4
	maxComparisons = 20_000_000
)

// bound refuses patterns that would take too long.
func bound(configs []cardConfig, files []string) error {
	n := 0
	for _, c := range configs {
		for _, s := range c.Files {
			n += len(s.Path)
			for _, pattern := range s.Path {
				if strings.Count(pattern, "{") > maxBraces {
					return fmt.Errorf("%s: the configuration %q has a pattern with more than %d braces: %.100s", CardName, c.Name, maxBraces, pattern)
				}
			}
		}
	}
	if n*len(files) > maxComparisons {
		return fmt.Errorf("%s: its configs: have %d patterns, too many for %d files", CardName, n, len(files))
	}
	return nil
}

// config finds the files of an entry of a card.
func (c cardConfig) config(files []string) Config {
	out := Config{Name: c.Name, IsDefault: c.Default || c.Name == "default"}
	if out.Name == "" {
		out.Name, out.IsDefault = "default", true
	}
	if len(c.Files) == 0 {
		out.Splits, out.Unsplit = splitsOf(below(files, c.DataDir))
		return out
	}
	for _, s := range c.Files {
		var found []string
		for _, pattern := range s.Path {
			pattern = path.Join(c.DataDir, pattern)
			for _, f := range files {
				// A name is a pattern of itself, whatever characters it has.
				if ok, err := doublestar.Match(pattern, f); err == nil && ok || f == pattern {
					found = append(found, f)
				}
			}
		}
		slices.Sort(found)
		found = slices.Compact(found)
		if len(found) > 0 {
			out.Splits = append(out.Splits, SplitFiles{Split: s.Split, Files: found})
		}
	}
	return out
}

// below are the files below a folder; all if it has no name.
func below(files []string, folder string) []string {
	if folder = path.Clean(folder); folder == "." {
		return files
	}
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !strings.HasPrefix(f, folder+"/") })
}

// sharded matches the files of a split that has several.
var sharded = regexp.MustCompile(`^(?:.*/)?([^/]+)-\d{5}-of-\d{5}[^/]*$`)

// splitsOf returns the splits of files by their names, those of the phases first,
// and the files without one if others have one.
func splitsOf(files []string) (out []SplitFiles, unsplit []string) {
	files = slices.Sorted(slices.Values(files))
	splitOf := wordSplit
	shards := func(prefix string) int {
		n := 0
		for _, f := range files {
			if strings.HasPrefix(f, prefix) && sharded.MatchString(f) {
				n++
			}
		}
		return n
	}
	switch {
	case shards("data/") > 0:
		splitOf = func(f string) source.Split { return shardSplit(f, "data/") }
	case len(files) > 0 && shards("") == len(files):
		splitOf = func(f string) source.Split { return shardSplit(f, "") }
	}
	for _, f := range files {
		split := splitOf(f)
		i := slices.IndexFunc(out, func(s SplitFiles) bool { return s.Split == split })
		if i < 0 {
			i = len(out)
			out = append(out, SplitFiles{Split: split})
		}
		out[i].Files = append(out[i].Files, f)
	}
	if i := slices.IndexFunc(out, func(s SplitFiles) bool { return s.Split == "" }); i >= 0 && len(out) > 1 {
		unsplit = out[i].Files
		out = slices.Delete(out, i, i+1)
	}
	rank := func(s source.Split) int {
		if i := slices.Index([]source.Split{source.Train, source.Validation, source.Test}, s); i >= 0 {
			return i
		}
		return 3
	}
	slices.SortStableFunc(out, func(a, b SplitFiles) int { return rank(a.Split) - rank(b.Split) })
	return out, unsplit
}

// shardSplit returns the split that a shard's name says. A name that is a word for a
// split of a phase means that split.
func shardSplit(file, prefix string) source.Split {
	m := sharded.FindStringSubmatch(file)
	if m == nil || !strings.HasPrefix(file, prefix) {
		return ""
	}
	if split, ok := words[strings.ToLower(m[1])]; ok {
		return split
	}
	if wordSplit(m[1]) == "" && wordSplit(path.Dir(file)) != "" {
		return wordSplit(path.Dir(file)) // train/part-00000-of-00002.parquet
	}
	return source.Split(m[1])
}

// words are the words for the splits of the phases.
var words = map[string]source.Split{
	"train": source.Train, "training": source.Train,
	"validation": source.Validation, "valid": source.Validation, "val": source.Validation, "dev": source.Validation,
	"test": source.Test, "testing": source.Test, "eval": source.Test, "evaluation": source.Test,
}

// wordSplit returns the split of a file by the words of its name, or else of the
// names of its folders, the innermost first. It returns "" if no word is a split.
func wordSplit(name string) source.Split {
	parts := strings.Split(strings.ToLower(name), "/")
	slices.Reverse(parts)
	for _, part := range parts {
		for word := range strings.FieldsFuncSeq(part, func(r rune) bool { return !('a' <= r && r <= 'z') }) {
			if split, ok := words[word]; ok {
				return split
			}
		}
	}
	return ""
}
