// Package secretname recognises by their names which variables, headers and keys
// hold secrets.
//
// It errs on the safe side: a name that only sounds like a secret is taken for
// one, and a secret under a harmless name is not found.
package secretname

import "strings"

// Matches reports whether a name is that of a secret.
func Matches(name string) bool {
	words := []string{
		"KEY", "TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "PRIVATE", "COOKIE",
	}
	for _, word := range words {
		if strings.Contains(strings.ToUpper(name), word) {
			return true
		}
	}
	return false
}

// MatchesHeader reports whether a message header holds a credential by its
// name.
func MatchesHeader(name string) bool {
	return Matches(name) || strings.Contains(strings.ToUpper(name), "AUTHORIZATION")
}
