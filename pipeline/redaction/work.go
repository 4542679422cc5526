package redaction

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// HideIn returns a text that is somebody's work, such as the answer of a model, without
// the secrets; changed says whether one was there. Short secrets, which could be common
// words, and passwords of addresses stay: they may belong to the work.
func (s *Secrets) HideIn(text string) (clean string, changed bool) {
	clean = text
	if s == nil {
		return clean, false
	}
	for _, form := range s.forms {
		clean = strings.ReplaceAll(clean, form, Hidden)
	}
	return clean, clean != text
}

// scanBytes is how much of a file is in memory.
const scanBytes = 64 << 10

// Found reports whether one of the secrets stands in what a reader has. Short ones, which
// could be common words, are not looked for.
func (s *Secrets) Found(r io.Reader) (bool, error) {
	if s == nil || len(s.forms) == 0 {
		return false, nil
	}
	keep := len(s.forms[0]) - 1 // a secret may begin in one part and end in the next one
	part := make([]byte, 0, scanBytes+keep)
	for {
		n, err := io.ReadFull(r, part[len(part):len(part)+scanBytes])
		part = part[:len(part)+n]
		for _, form := range s.forms {
			if bytes.Contains(part, []byte(form)) {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		part = part[:copy(part[:cap(part)], part[max(len(part)-keep, 0):])]
	}
}
