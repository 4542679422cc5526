package filestore

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fields is a flat YAML document: names, and values in their YAML form.
type fields [][2]string

func (f fields) String() string {
	var out strings.Builder
	for _, field := range f {
		out.WriteString(field[0] + ": " + field[1] + "\n")
	}
	return out.String()
}

// quote returns a YAML double-quoted scalar. Go's escapes are valid in YAML if
// the text is valid UTF-8 (in other texts \xff would mean another character).
func quote(s string) string {
	return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
}

// scalar reads one value of a flat YAML document: plain, single-quoted or
// double-quoted on one line, the forms in which MLflow and this package write
// names.
func scalar(text, key string) string {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(line, key+":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(value, `"`):
			if s, err := strconv.Unquote(value); err == nil {
				return s
			}
		case len(value) > 1 && strings.HasPrefix(value, "'") && strings.HasSuffix(value, "'"):
			return strings.ReplaceAll(value[1:len(value)-1], "''", "'")
		}
		return value
	}
	return ""
}

// setMeta replaces values in the meta file of a folder. All other lines stay as
// they are, and so does the file if no value changes.
func setMeta(dir string, values map[string]string) error {
	path := filepath.Join(dir, "meta.yaml")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(old)) {
		key, _, _ := strings.Cut(line, ":")
		if value, ok := values[key]; ok {
			line = key + ": " + value + "\n"
		}
		out.WriteString(line)
	}
	if out.String() == string(old) {
		return nil
	}
	return replaceFile(dir, path, strings.NewReader(out.String()))
}
