package value

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// SyntaxError means that a text is not JSON.
type SyntaxError struct {
	Offset  int // in bytes from the start of the text
	Problem string
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Problem }

// cursor reads the parts of JSON that have no parts of their own.
type cursor struct {
	text    []byte
	at      int
	scratch []byte // for texts with escapes
	short   map[string]string
}

const (
	// Short texts, such as the roles of messages, occur in many rows, which share
	// them.
	maxShort      = 16
	maxShortTexts = 1024
)

// copied returns a text of its own. Texts never are parts of a row's text, so that
// one of them does not keep the memory of a whole row.
func (c *cursor) copied(b []byte) string {
	if len(b) > maxShort {
		return string(b)
	}
	if s, ok := c.short[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(c.short) < maxShortTexts {
		if c.short == nil {
			c.short = map[string]string{}
		}
		c.short[s] = s
	}
	return s
}

func (c *cursor) blanks() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\n', '\t', '\r':
			c.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end. No part of JSON begins with 0.
func (c *cursor) peek() byte {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

func (c *cursor) word(w string) bool {
	rest := c.text[c.at:]
	return len(rest) >= len(w) && string(rest[:len(w)]) == w
}

func (c *cursor) problem(format string, args ...any) error {
	return &SyntaxError{Offset: c.at, Problem: fmt.Sprintf(format, args...)}
}

// wanted is the error where something else stands than what is wanted.
func (c *cursor) wanted(what string) error {
	if c.at >= len(c.text) {
		return c.problem("the JSON ends in the middle")
	}
	for _, w := range []string{"NaN", "Infinity", "nan", "inf"} {
		if c.word(w) {
			return c.problem("%s is no JSON value; write null", w)
		}
	}
	for _, w := range []string{"None", "True", "False", "'"} {
		if c.word(w) {
			return c.problem("%s is Python's notation, not JSON; write the row with json.dumps", w)
		}
	}
	return c.problem("%s is wanted, %s is there", what, c.found())
}

// found names what stands at the position.
func (c *cursor) found() string {
	switch b := c.peek(); {
	case b == '{':
		return Object.String()
	case b == '[':
		return List.String()
	case b == '"':
		return Text.String()
	case b == '-' || isDigit(b):
		return Number.String()
	case c.at >= len(c.text):
		return "nothing"
	}
	r, _ := utf8.DecodeRune(c.text[c.at:])
	return strconv.QuoteRune(r)
}

// comma reads the comma between two parts of a list or an object.
func (c *cursor) comma(closing byte) error {
	if c.peek() != ',' {
		return c.wanted(fmt.Sprintf("a comma or %q", closing))
	}
	c.at++
	c.blanks()
	if c.peek() == closing {
		return c.problem("a comma stands before %q", closing)
	}
	return nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func (c *cursor) digits() bool {
	start := c.at
	for isDigit(c.peek()) {
		c.at++
	}
	return c.at > start
}

func (c *cursor) number() (Value, error) {
	start := c.at
	if c.peek() == '-' {
		c.at++
		if c.word("Infinity") {
			c.at = start
			return Value{}, c.problem("-Infinity is no JSON value; write null")
		}
	}
	first := c.at
	ok := c.digits() && (c.text[first] != '0' || c.at == first+1)
	if ok && c.peek() == '.' {
		c.at++
		ok = c.digits()
	}
	if b := c.peek(); ok && (b == 'e' || b == 'E') {
		c.at++
		if b := c.peek(); b == '+' || b == '-' {
			c.at++
		}
		ok = c.digits()
	}
	if !ok {
		rest := string(c.text[start:min(len(c.text), start+20)])
		if end := strings.IndexAny(rest, ",]} \t\r\n"); end >= 0 {
			rest = rest[:end]
		}
		c.at = start
		return Value{}, c.problem("%s is no number in JSON", rest)
	}
	return OfNumber(c.copied(c.text[start:c.at])), nil
}

// plain returns the position of the first quote, backslash or control character.
func plain(b []byte, at int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for ; at+8 <= len(b); at += 8 {
		w := binary.LittleEndian.Uint64(b[at:])
		quote, slash := w^('"'*ones), w^('\\'*ones)
		// The lowest high bit that is set belongs to the first byte that is zero,
		// or less than a blank. Source: Bit Twiddling Hacks, "Determine if a word
		// has a zero byte" and "a byte less than n".
		if hit := ((quote-ones)&^quote | (slash-ones)&^slash | (w-0x20*ones)&^w) & highs; hit != 0 {
			return at + bits.TrailingZeros64(hit)/8
		}
	}
	for ; at < len(b); at++ {
		if c := b[at]; c == '"' || c == '\\' || c < 0x20 {
			break
		}
	}
	return at
}

// string reads a text in quotes.
func (c *cursor) string() (string, error) {
	c.at++
	start := c.at
	c.at = plain(c.text, start)
	if c.peek() == '"' {
		c.at++
		return c.copied(c.text[start : c.at-1]), nil
	}
	c.scratch = append(c.scratch[:0], c.text[start:c.at]...)
	for {
		if c.at >= len(c.text) {
			return "", c.problem("the JSON ends in the middle of a text")
		}
		switch b := c.text[c.at]; b {
		case '"':
			c.at++
			return c.copied(c.scratch), nil
		case '\\':
			if err := c.escape(); err != nil {
				return "", err
			}
		default:
			return "", c.problem("the control character %q stands in a text; JSON wants \\u%04x", b, b)
		}
		next := plain(c.text, c.at)
		c.scratch = append(c.scratch, c.text[c.at:next]...)
		c.at = next
	}
}

// escapes are those of RFC 8259, section 7, of one character.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads an escape to the end of scratch.
func (c *cursor) escape() error {
	rest := c.text[c.at:]
	if len(rest) == 1 {
		return c.problem("the JSON ends in the middle of a text")
	}
	if b := escapes[rest[1]]; b != 0 {
		c.scratch = append(c.scratch, b)
		c.at += 2
		return nil
	}
	r, ok := unicodeEscape(rest)
	if !ok {
		return c.problem("%.2q stands in a text and is no escape of JSON; a backslash is written \\\\", rest)
	}
	size := len(`\u0000`)
	if utf16.IsSurrogate(r) {
		low, ok := unicodeEscape(rest[size:])
		pair := utf16.DecodeRune(r, low)
		if !ok || pair == utf8.RuneError {
			return c.problem("%s in a text is half of a character", rest[:size])
		}
		r, size = pair, 2*size
	}
	c.scratch = utf8.AppendRune(c.scratch, r)
	c.at += size
	return nil
}

// unicodeEscape reads \uXXXX.
func unicodeEscape(s []byte) (rune, bool) {
	if len(s) < len(`\u0000`) || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return rune(n), err == nil
}
