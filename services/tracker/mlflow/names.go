package mlflow

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// MLflow's limits, in characters.
const (
	maxKey        = 250
	maxParam      = 6000
	maxTag        = 8000
	maxRunName    = 250
	maxExperiment = 500
	maxDigest     = 36
	maxDataset    = 500
	maxSource     = 65535
	maxPathPart   = 255 // bytes
)

// CleanName makes a name for a metric, parameter or tag that every MLflow
// store takes: "=" becomes ":", and every other character outside ASCII
// letters, digits and "_-. :/" becomes "_"; then empty parts, "." and ".." leave the path, since MLflow refuses a
// name that is not a clean relative path. A name with nothing left is "_".
func CleanName(name string) string {
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
	// Cutting may end the name in a slash, so the path is cleaned after it.
	clean = cleanPath(cut(clean, maxKey))
	if strings.HasPrefix(clean, "..") { // "..a" too is refused
		clean = "_" + clean[1:]
	}
	return clean
}

// CleanPath makes the path of an artifact that every MLflow store takes: a
// relative one without empty parts, "." and "..", with "#", backslashes and
// control characters as "_" and every part at most 255 bytes long. A server
// decodes "%23" once more, and takes "c:/" and "file:" for absolute: the "%" and
// the ":" of those become "_" as well.
func CleanPath(path string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '#' || r == '\\' || r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(path, "_"))
	clean = encoded.ReplaceAllString(clean, "_$1")
	parts := strings.Split(cleanPath(clean), "/")
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

// encoded is a byte as addresses spell it.
var encoded = regexp.MustCompile(`%([0-9A-Fa-f]{2})`)

// cleanPath drops what makes a path absolute, unclean or climbing.
func cleanPath(path string) string {
	kept := make([]string, 0, 4)
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." && part != ".." {
			kept = append(kept, part)
		}
	}
	if len(kept) == 0 {
		return "_"
	}
	return strings.Join(kept, "/")
}

// cut returns at most n characters of s, as valid UTF-8.
func cut(s string, n int) string {
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

// cleanText is cut for values. A line feed is the only line break that both
// stores give back as it was written, and NUL ends a text in some databases.
func cleanText(s string, n int) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\uFFFD").Replace(s)
	return cut(s, n)
}
