// Package redaction takes secrets out of texts that somebody else wrote: a server to
// which a credential was sent, or a program that runs with one. Whatever of such a text
// gets into an error, a note, a log or an event goes through it.
//
//	secrets := redaction.New(token)
//	...
//	return secrets.Error(fmt.Errorf("the server says: %s", body))
package redaction

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Hidden stands where a secret was.
const Hidden = "[hidden]"

// shortest is the length of the value of a variable that cannot be a common word.
const shortest = 8

// password is the password of an address.
var password = regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`)

// Secrets are what no text may have. Nil knows none. It is safe for concurrent use.
type Secrets struct {
	known *strings.Replacer
	// forms are those that are no common words, the longest first.
	forms []string
}

// New returns what hides the values, also as they stand in an address, in JSON and
// between quotes. Empty ones are left out.
func New(values ...string) *Secrets {
	var forms []string
	for _, value := range values {
		value = strings.TrimSpace(value)
		if value == "" {
			continue
		}
		inJSON, _ := json.Marshal(value) // a text always has a JSON form
		quoted := strconv.Quote(value)
		forms = append(forms, value, url.QueryEscape(value), url.PathEscape(value), string(inJSON[1:len(inJSON)-1]), quoted[1:len(quoted)-1])
	}
	// The longest first: one may begin with another one.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	s := &Secrets{}
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Hidden)
		if len(form) >= shortest {
			s.forms = append(s.forms, form)
		}
	}
	s.known = strings.NewReplacer(pairs...)
	return s
}

// OfVariables returns the values of the variables, NAME=value, whose names say that they
// hold secrets. Short ones are left out, which could be common words.
func OfVariables(environ []string) []string {
	ends := []string{"TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"}
	var values []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		name = strings.ToUpper(name)
		if len(value) >= shortest && slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name, end) }) {
			values = append(values, value)
		}
	}
	return values
}

// Hide returns a text without the secrets, and without the passwords of addresses and the
// secrets of their queries.
func (s *Secrets) Hide(text string) string {
	if s != nil {
		text = s.known.Replace(text)
	}
	if !strings.Contains(text, "://") {
		return text
	}
	return secretInQuery.ReplaceAllString(password.ReplaceAllString(text, "${1}"+Hidden+"@"), "${1}"+Hidden)
}

// Error returns an error whose text has no secrets. It is the same one for errors.Is and
// errors.AsType.
func (s *Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	if text := s.Hide(err.Error()); text != err.Error() {
		return &redactedError{text, err}
	}
	return err
}

// redactedError is an error with another text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Unwrap returns the error.
func (e *redactedError) Unwrap() error { return e.err }
