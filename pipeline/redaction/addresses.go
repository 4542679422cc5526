package redaction

import (
	"log/slog"
	"regexp"
	"strings"
)

// hiddenInAddress stands where an address had a user, a password or a secret of its query.
const hiddenInAddress = "xxxxx"

var (
	// userInAddress is the user of an address inside a text, with a password or none.
	userInAddress = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@"'<>]*@`)
	// secretInQuery is a part of a query whose name is that of a secret, such as token,
	// api_key, X-Amz-Signature or sig.
	secretInQuery = regexp.MustCompile(`([?&](?:[^\s=&?"']*(?i:token|key|secret|passw|pwd|credential|signature)[^\s=&"']*|(?i:sig|auth))=)[^\s&#"'<>]+`)
)

// Addresses returns a text, such as a note or an error, with "xxxxx" where an address in it
// has a user and a password, or a secret in its query. It is for texts in which a person or
// another program may have put an address.
func Addresses(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return secretInQuery.ReplaceAllString(userInAddress.ReplaceAllString(text, "${1}"+hiddenInAddress+"@"), "${1}"+hiddenInAddress)
}

// AddressesOfEach is [Addresses] of several texts, in a new slice. Nil stays nil.
func AddressesOfEach(texts []string) []string {
	if texts == nil {
		return nil
	}
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = Addresses(text)
	}
	return out
}

// HasSecret reports whether an address in a text has what [Addresses] hides.
func HasSecret(text string) bool { return Addresses(text) != text }

// InLog is [Addresses] of the texts and errors of a log, as slog.HandlerOptions.ReplaceAttr
// takes it.
func InLog(_ []string, a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(Addresses(value))
	case error:
		if text := value.Error(); HasSecret(text) {
			a.Value = slog.StringValue(Addresses(text))
		}
	case []string:
		a.Value = slog.AnyValue(AddressesOfEach(value))
	}
	return a
}
