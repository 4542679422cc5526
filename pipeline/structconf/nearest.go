package structconf

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest returns the candidate with the smallest edit distance from word, or ""
// if none is close.
func Nearest(word string, candidates []string) string {
	best, nearest := 1+len(word)/3, ""
	for _, c := range candidates {
		// The distance is not below the difference of the lengths. A word may come
		// from anywhere and have a megabyte.
		if max(len(word)-len(c), len(c)-len(word)) > best {
			continue
		}
		if d := distance(word, c); d <= best && (nearest == "" || d < best) {
			best, nearest = d, c
		}
	}
	return nearest
}

// distance returns the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// unknown returns the message for a name that does not exist.
func unknown(kind, word string, known []string) string {
	msg := "unknown " + kind
	if n := Nearest(word, known); n != "" {
		return fmt.Sprintf("%s; did you mean %q?", msg, n)
	}
	known = slices.Clone(known)
	if len(known) <= 8 {
		msg += "; known are " + strings.Join(known, ", ")
	}
	return msg
}
