package textfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// marks are the byte order marks. A mark is right whatever an option says, as in
// the WHATWG's standard.
var marks = []struct {
	mark     string
	encoding encoding.Encoding // nil: UTF-8
}{
	{"\xef\xbb\xbf", nil},
	{"\xff\xfe", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"\xfe\xff", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
}

// decode looks at the start of the text and has it turned into UTF-8.
func (t *File) decode() error {
	named, err := findEncoding(t.options)
	if err != nil {
		return err
	}
	start := make([]byte, 4)
	n, err := io.ReadFull(t.r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return t.readError(err)
	}
	if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) && t.unpacker != nil {
		// A short text and a compressed file that ends in the middle give the same
		// error; another read tells them apart.
		if _, err := t.r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return t.readError(err)
		}
	}
	start = start[:n]
	if string(start) == "\xff\xfe\x00\x00" || string(start) == "\x00\x00\xfe\xff" {
		return fault.At(1, "the text is UTF-32, which is not read; write it as UTF-8")
	}
	for _, m := range marks {
		if bytes.HasPrefix(start, []byte(m.mark)) {
			start, named = start[len(m.mark):], m.encoding
			break
		}
	}
	t.r = io.MultiReader(bytes.NewReader(start), t.r)
	if named != nil {
		t.r, t.decoded = named.NewDecoder().Reader(t.r), true
	}
	return nil
}

// findEncoding returns nil for UTF-8. Names are those of the WHATWG, of the IANA,
// and Python's forms of them.
func findEncoding(o Options) (encoding.Encoding, error) {
	name := strings.ToLower(strings.TrimSpace(o.Encoding))
	dashed := strings.ReplaceAll(name, "_", "-")
	switch strings.ReplaceAll(dashed, "-", "") {
	case "", "utf8", "utf8sig", "ascii", "usascii":
		return nil, nil //nolint:nilnil // UTF-8 needs no decoder
	case "utf16", "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	case "macroman":
		return charmap.Macintosh, nil
	}
	for _, form := range []string{name, dashed, strings.ReplaceAll(dashed, "-", "")} {
		if e, err := htmlindex.Get(form); err == nil && e != encoding.Replacement {
			return e, nil
		}
		if e, err := ianaindex.IANA.Encoding(form); err == nil && e != nil {
			return e, nil
		}
	}
	return nil, fault.At(0, "%s = %q names no encoding that can be read; there are \"cp1252\", \"latin1\", \"utf-16le\", "+
		"\"shift_jis\", \"euc-kr\", \"gb18030\", \"big5\", \"koi8-r\", \"windows-1251\" and the others of the WHATWG's list",
		o.EncodingKey, o.Encoding)
}

// encodingError says what stands at checked, and which encoding may be meant.
func (t *File) encodingError() error {
	rest := t.buf[t.checked:t.end]
	start := bytes.LastIndexByte(t.buf[:t.checked], '\n') + 1
	position := utf8.RuneCount(t.buf[start:t.checked]) + 1
	line, key := t.lines+1, t.options.EncodingKey
	what := fmt.Sprintf("byte 0x%02X at character %d of the line", rest[0], position)
	switch {
	case rest[0] == 0 && !t.decoded:
		return fault.At(line, "%s is no text; %s = \"utf-16le\" may be meant", what, key)
	case rest[0] == 0:
		return fault.At(line, "character %d of the line is U+0000, which is no text; "+
			"another encoding may be meant, %s names it", position, key)
	case t.decoded:
		return fault.At(line, "character %d of the line is U+FFFD, which stands for what could not be read, "+
			"or its bytes are not valid in the encoding of the file; %s names another one", position, key)
	}
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	if isWestern(rest) {
		return fault.At(line, "%s is not UTF-8; %s = \"cp1252\" may be meant", what, key)
	}
	return fault.At(line, "%s is not UTF-8; %s names the encoding of the file, such as \"windows-1252\" or \"iso-8859-1\" (western Europe), "+
		"\"windows-1251\" (Cyrillic), \"gb18030\" (Chinese) or \"shift_jis\" (Japanese)", what, key)
}

// isWestern reports whether a text may be in Windows' western encoding: its bytes
// exist there, and most of those above ASCII stand alone, as letters with accents
// do, not in runs as in scripts without Latin letters.
func isWestern(text []byte) bool {
	high, runs := 0, 0
	for i, b := range text {
		switch b {
		case 0x81, 0x8d, 0x8f, 0x90, 0x9d: // unassigned
			return false
		case 0x83, 0x86, 0x87, 0x88, 0x89, 0x8b, 0x98, 0x9b: // signs that texts hardly have
			return false
		}
		if b >= 0x80 {
			high++
			if i == 0 || text[i-1] < 0x80 {
				runs++
			}
		}
	}
	return high < 2*runs
}
