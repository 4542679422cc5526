package redaction

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
)

const (
	// shortestPart is the length of a part of a credential that is no common word.
	shortestPart = 8
	// shortestWord is that of a credential that is hidden where it stands alone.
	shortestWord = 4
)

// HideSent returns a text of a server without the credentials that were sent to it. A
// server may repeat them whole, cut, or in base64, so that parts of some length are
// hidden as well. It is for short texts: its time grows with their length and that of the
// credentials.
func HideSent(text string, credentials ...string) string {
	for _, c := range credentials {
		c = strings.TrimSpace(c)
		switch {
		case len(c) >= shortestPart:
			text = New(c).Hide(text)
			for _, form := range append(inBase64(c), c, hex.EncodeToString([]byte(c)), strings.ToUpper(hex.EncodeToString([]byte(c)))) {
				text = hideParts(text, form)
			}
		case len(c) >= shortestWord:
			text = regexp.MustCompile(`(^|[^A-Za-z0-9_])`+regexp.QuoteMeta(c)+`($|[^A-Za-z0-9_])`).ReplaceAllString(text, "${1}"+Hidden+"${2}")
		}
	}
	return New().Hide(text)
}

// inBase64 returns what a secret is within the base64 of a longer text, by the three
// places where it can begin there, without the characters that its neighbours change.
func inBase64(secret string) (forms []string) {
	for before := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all := strings.Repeat("x", before) + secret
			encoded := e.EncodeToString([]byte(all))
			forms = append(forms, encoded[(before*8+5)/6:len(all)*8/6])
		}
	}
	return forms
}

// hideParts replaces the parts of a secret.
func hideParts(text, secret string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		n := 0
		if at+shortestPart <= len(text) {
			for rest := secret; ; {
				i := strings.Index(rest, text[at:at+shortestPart])
				if i < 0 {
					break
				}
				rest = rest[i:]
				n = max(n, common(text[at:], rest))
				rest = rest[1:]
			}
		}
		if n == 0 {
			out.WriteByte(text[at])
			at++
			continue
		}
		out.WriteString(Hidden)
		at += n
	}
	return out.String()
}

// common is how long the common beginning of two texts is.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
