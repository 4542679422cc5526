package normalize

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MLflow's limits, in characters.
const (
	MaxKey        = 250
	MaxParam      = 6000
	MaxTag        = 8000
	MaxExperiment = 500
	MaxDigest     = 36

	maxRunName  = 250
	maxDataset  = 500
	maxSource   = 65535
	maxPathPart = 255 // bytes
)

// Name makes a name for a metric, parameter or tag: "=" becomes ":", and every
// other character outside ASCII letters, digits and "_-. :/" becomes "_". Then
// empty parts, "." and ".." leave the path, because MLflow refuses a name that
// is not a clean relative path. A name with nothing left is "_".
func Name(name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9',
			r == '_', r == '-', r == '.', r == ' ', r == ':', r == '/':
			return r
		case r == '=':
			return ':'
		default:
			return '_'
		}
	}, name)
	// A cut name can end in a slash, so the path is cleaned afterwards.
	clean = relativePath(Cut(clean, MaxKey))
	if strings.HasPrefix(clean, "..") { // MLflow refuses "..a", too
		clean = "_" + clean[1:]
	}
	return clean
}

// Path makes the path of an artifact: a relative one without empty parts, "."
// and "..", with "#", backslashes and control characters as "_" and every part
// at most 255 bytes long. A server decodes "%23" a second time, and takes "c:/"
// and "file:" for absolute paths: that "%" and that ":" become "_", too.
func Path(path string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '#' || r == '\\' || r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(path, "_"))
	clean = percentEncoded.ReplaceAllString(clean, "_$1")
	parts := strings.Split(relativePath(clean), "/")
	parts[0] = strings.ReplaceAll(parts[0], ":", "_")
	for i, part := range parts {
		for len(part) > maxPathPart {
			_, size := utf8.DecodeLastRuneInString(part)
			part = part[:len(part)-size]
		}
		parts[i] = part
	}
	return strings.Join(parts, "/")
}

var percentEncoded = regexp.MustCompile(`%([0-9A-Fa-f]{2})`)

// relativePath drops the parts that make a path absolute, unclean, or leave
// its folder.
func relativePath(path string) string {
	parts := make([]string, 0, 4)
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." && part != ".." {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "_"
	}
	return strings.Join(parts, "/")
}

// ExperimentName cuts the name of an experiment. MLflow has no experiment
// without a name.
func ExperimentName(name string) (string, error) {
	if strings.TrimSpace(name) == "" {
		return "", errors.New("find experiment: its name is empty")
	}
	return Cut(name, MaxExperiment), nil
}

// RunName is never empty, because MLflow would invent a name.
func RunName(name string) string {
	if name = Text(name, maxRunName); name == "" {
		return "unnamed"
	}
	return name
}

// Cut returns at most n characters of s, as valid UTF-8.
func Cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == n {
			return s[:i]
		}
		count++
	}
	return s
}

// Text is [Cut] for values. It keeps line feeds only, because both stores
// return no other line break as it was written, and it replaces NUL, which
// ends a text in some databases.
func Text(s string, n int) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\uFFFD").Replace(s)
	return Cut(s, n)
}
