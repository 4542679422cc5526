// Package shellquote quotes the words of a command line that people paste into
// a POSIX shell.
//
// A word that a shell reads as it stands is left as it is; any other one is
// put between single quotes. The result is always read back as the one word
// that was given, whatever bytes it holds.
//
// It is a dozen lines, so no library is used for it.
package shellquote

import "strings"

// Word quotes one word.
func Word(word string) string {
	if word != "" && strings.IndexFunc(word, special) < 0 && !strings.HasPrefix(word, "~") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Join quotes words and joins them to a command line.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Word(w)
	}
	return strings.Join(quoted, " ")
}

// special reports whether a shell may read a character as more than itself.
func special(r rune) bool {
	plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,~", r)
	return !plain
}
