package completionapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// object reads a JSON object, and nothing behind it.
func object(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) { // the decoder would put U+FFFD there, and the model would read that
		return nil, fmt.Errorf("the body is no JSON object: it is not encoded as UTF-8, at byte %d", firstInvalid(body)+1)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var out map[string]json.RawMessage
	err := dec.Decode(&out)
	if err == nil && out == nil {
		err = errors.New("it is null")
	}
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("something stands behind the object, at byte %d", dec.InputOffset())
		}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		err = fmt.Errorf("%w, at byte %d", syntax, syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("it is of the type %s", wrong.Value)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	if err != nil {
		return nil, fmt.Errorf("the body is no JSON object: %w", err)
	}
	if at := loneHalf(body); at >= 0 { // the decoder would put U+FFFD there, too
		return nil, fmt.Errorf("%s in a text of the body is half of a character, at byte %d; write both halves, such as \\ud83d\\ude00, or the character itself",
			body[at:at+len(`\u0000`)], at+1)
	}
	return out, nil
}

// loneHalf is the index of the first escape in the texts of valid JSON that is half of a
// character (a surrogate of UTF-16) without the other half; -1: there is none.
func loneHalf(body []byte) int {
	const size = len(`\u0000`)
	for at := 0; ; {
		next := bytes.IndexByte(body[at:], '\\') // valid JSON has them in texts alone
		if next < 0 {
			return -1
		}
		at += next
		r, ok := escaped(body[at:])
		if !ok {
			at += len(`\n`)
			continue
		}
		if !utf16.IsSurrogate(r) {
			at += size
			continue
		}
		low, ok := escaped(body[at+size:])
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return at
		}
		at += 2 * size
	}
}

// escaped reads \uXXXX, with which a text begins or not.
func escaped(text []byte) (rune, bool) {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

// firstInvalid is the index of the first byte that is no part of UTF-8.
func firstInvalid(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}
