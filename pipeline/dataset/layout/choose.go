package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// Choice is the part of a folder that is read.
type Choice struct {
	// Config is empty if the folder has no configurations, or none was named.
	Config string
	Split  source.Split
	Files  []string
	// Notes say what was chosen without being named.
	Notes []string
}

// MissingSplitError means that a folder or a repository does not have a split, or
// that none is named and there are several.
type MissingSplitError struct {
	Source source.Source
	Config string
	// Split is the one that was named or that the phase reads; empty if none.
	Split source.Split
	// Have are the existing ones.
	Have []source.Split
}

// Error implements error.
func (e *MissingSplitError) Error() string {
	place, _ := source.Parse(e.Source.Name)
	what := place
	if e.Config != "" {
		what += ":" + e.Config
	}
	have := "it has " + splitNames(e.Have)
	example := place + source.Selection{Config: e.Config, Split: e.Have[0]}.String()
	if e.Config == "" {
		example = place + source.Selection{Name: string(e.Have[0])}.String()
	}
	switch {
	case e.Split == "":
		return fmt.Sprintf("%s has several splits; %s: name one, such as %s", what, have, example)
	case len(e.Have) == 1 && e.Source.SharedWith != "" && e.Source.Selection.Split == "" && e.Source.Selection.Name == "":
		return fmt.Sprintf("%s has no split %q; %s, and %s names it too: give %s other data, or write the split that is meant, such as %s",
			what, e.Split, have, e.Source.SharedWith, e.Source.Key, example)
	}
	return fmt.Sprintf("%s has no split %q; %s: name one, such as %s = %q", what, e.Split, have, e.Source.Key, example)
}

// MissingConfigError means that a folder or a repository does not have a
// configuration, or that none is named and there are several.
type MissingConfigError struct {
	Source source.Source
	Config string // empty if none was named
	// Have are the existing ones, and Splits the splits, if the name may be one.
	Have   []string
	Splits []source.Split
	// NoFiles means that the card names the configuration, and its files are not
	// there.
	NoFiles bool
}

// Error implements error.
func (e *MissingConfigError) Error() string {
	place, _ := source.Parse(e.Source.Name)
	var parts []string
	if len(e.Have) > 0 {
		parts = append(parts, "the configurations "+quoted(e.Have))
	}
	if len(e.Splits) > 0 {
		parts = append(parts, "the splits "+splitNames(e.Splits))
	}
	have := "it has " + strings.Join(parts, ", and ")
	if len(parts) == 0 {
		have = "it has no configurations"
	}
	if e.NoFiles {
		return fmt.Sprintf("%s: the files of the configuration %q, which its card names, are not there; %s", place, e.Config, have)
	}
	if e.Config == "" {
		return fmt.Sprintf("%s: %s: name one, such as %s:%s", place, have, place, e.Have[0])
	}
	what := "configuration"
	if len(e.Splits) > 0 {
		what = "configuration or split"
	}
	return fmt.Sprintf("%s has no %s %q; %s", place, what, e.Config, have)
}

// Choose returns the files of a source.
func (l Layout) Choose(src source.Source) (Choice, error) {
	config, split, err := l.Config(src)
	if err != nil {
		return Choice{}, err
	}
	choice, err := config.choose(src, split)
	if err != nil && split != "" && src.Selection.Name != "" {
		return Choice{}, &MissingConfigError{Source: src, Config: src.Selection.Name, Have: l.names(), Splits: config.splits()}
	}
	if err == nil && len(l.Configs) > 1 && src.Selection.Config == "" && src.Selection.Name != config.Name {
		place, _ := source.Parse(src.Name)
		choice.Notes = append(choice.Notes, fmt.Sprintf("of the configurations %s, %q is read; %s:NAME names another", quoted(l.names()), config.Name, place))
	}
	return choice, err
}

// Config returns the configuration that a source selects, and the split, if it
// names one.
func (l Layout) Config(src source.Source) (Config, source.Split, error) {
	sel := src.Selection
	if sel.Name != "" {
		if c, ok := l.find(sel.Name); ok {
			sel = source.Selection{Config: c.Name}
		} else {
			sel = source.Selection{Split: source.Split(sel.Name)}
		}
	}
	config, ok := l.find(sel.Config)
	switch {
	case ok:
	case sel.Config != "":
		return Config{}, "", &MissingConfigError{Source: src, Config: sel.Config, Have: l.names()}
	default:
		if config, ok = l.byDefault(); !ok {
			return Config{}, "", &MissingConfigError{Source: src, Config: src.Selection.Name, Have: l.names()}
		}
	}
	if len(config.Splits) == 0 {
		return Config{}, "", &MissingConfigError{Source: src, Config: config.Name, Have: l.names(), NoFiles: true}
	}
	return config, sel.Split, nil
}

// Files are the files of all splits of the configuration, sorted.
func (c Config) Files() []string {
	var out []string
	for _, s := range c.Splits {
		out = append(out, s.Files...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// find returns a configuration by its name.
func (l Layout) find(name string) (Config, bool) {
	for _, c := range slices.Concat(l.Configs, l.Folders) {
		if name != "" && c.Name == name {
			return c, true
		}
	}
	return Config{}, false
}

// byDefault returns the configuration to read if none is named.
func (l Layout) byDefault() (Config, bool) {
	if len(l.Configs) == 1 {
		return l.Configs[0], true
	}
	i := slices.IndexFunc(l.Configs, func(c Config) bool { return c.IsDefault })
	if i < 0 {
		return Config{}, false
	}
	return l.Configs[i], true
}

// names are the names of the configurations.
func (l Layout) names() []string {
	var out []string
	for _, c := range slices.Concat(l.Configs, l.Folders) {
		if c.Name != "" {
			out = append(out, c.Name)
		}
	}
	return out
}

func (c Config) splits() []source.Split {
	var out []source.Split
	for _, s := range c.Splits {
		out = append(out, s.Split)
	}
	return out
}

// choose returns the files of a split. Where none is named, it is the phase's own;
// or else the only one, unless another key names the same place.
func (c Config) choose(src source.Source, named source.Split) (Choice, error) {
	if named != "" {
		files, ok := c.named(named)
		if !ok {
			return Choice{}, &MissingSplitError{Source: src, Config: c.Name, Split: named, Have: c.splits()}
		}
		var notes []string
		if src.Again && src.SharedSelection == src.Selection {
			notes = append(notes, src.SharedWith+" names the same split")
		}
		return Choice{Config: c.Name, Split: named, Files: files, Notes: notes}, nil
	}
	var notes []string
	if n := len(c.Unsplit); n > 0 {
		notes = append(notes, fmt.Sprintf("files whose names say no split are left out (%d): %s", n, shown(c.Unsplit)))
	}
	own := slices.IndexFunc(c.Splits, func(s SplitFiles) bool { return s.Split == src.Split && s.Split != "" })
	if own >= 0 {
		return Choice{Config: c.Name, Split: src.Split, Files: c.Splits[own].Files, Notes: notes}, nil
	}
	if len(c.Splits) != 1 {
		return Choice{}, &MissingSplitError{Source: src, Config: c.Name, Split: src.Split, Have: c.splits()}
	}
	only := c.Splits[0]
	choice := Choice{Config: c.Name, Split: only.Split, Files: only.Files, Notes: notes}
	switch {
	case src.Split == "", only.Split == "" && src.Split == source.Train: // the Hub calls it train, too
		return choice, nil
	case src.SharedWith != "":
		return Choice{}, &MissingSplitError{Source: src, Config: c.Name, Split: src.Split, Have: c.splits()}
	case only.Split == "":
		choice.Notes = append(notes, fmt.Sprintf("no file of %s says its split: all are read as %q", src.Name, src.Split))
	default:
		choice.Notes = append(notes, fmt.Sprintf("%s has no split %q; its only split, %q, is read", src.Name, src.Split, only.Split))
	}
	return choice, nil
}

// named returns the files of a split by its name, by another word for it, or the
// file or folder of that name.
func (c Config) named(split source.Split) ([]string, bool) {
	for _, name := range []source.Split{split, words[strings.ToLower(string(split))]} {
		for _, s := range c.Splits {
			if name != "" && s.Split == name {
				return s.Files, true
			}
		}
	}
	var out []string
	for _, s := range c.Splits {
		for _, f := range s.Files {
			base, _, _ := strings.Cut(path.Base(f), ".")
			if m := sharded.FindStringSubmatch(base); m != nil {
				base = m[1]
			}
			if base == string(split) || slices.Contains(strings.Split(path.Dir(f), "/"), string(split)) {
				out = append(out, f)
			}
		}
	}
	if s := c.Splits; len(out) == 0 && split == source.Train && len(s) == 1 && s[0].Split == "" {
		return s[0].Files, true // as on the Hub
	}
	return out, len(out) > 0
}

func splitNames(splits []source.Split) string {
	names := make([]string, len(splits))
	for i, s := range splits {
		names[i] = string(s)
	}
	if len(names) == 1 && names[0] == "" {
		return "files whose names say no split"
	}
	return quoted(names)
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}

// shown names a few files.
func shown(files []string) string {
	const most = 5
	if len(files) > most {
		return quoted(files[:most]) + ", …"
	}
	return quoted(files)
}
