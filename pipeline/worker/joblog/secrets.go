package joblog

import (
	"regexp"
	"slices"
	"strings"
)

// secretEnds are how the names of variables end that hold secrets.
var secretEnds = []string{"TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"}

const (
	hidden = "[hidden]"
	// shortestSecret is the length of a value that cannot be a common word.
	shortestSecret = 8
)

// password is the password of an address.
var password = regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`)

// redactions returns what replaces the values of secret variables.
func redactions(environ []string) *strings.Replacer {
	var pairs []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		name = strings.ToUpper(name)
		if len(value) >= shortestSecret && slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(name, end) }) {
			pairs = append(pairs, value, hidden)
		}
	}
	return strings.NewReplacer(pairs...)
}

// withoutPasswords replaces the passwords of addresses in a text.
func withoutPasswords(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return password.ReplaceAllString(text, "${1}"+hidden+"@")
}
