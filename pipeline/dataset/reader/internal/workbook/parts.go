package workbook

import (
	"encoding/xml"
	"errors"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// xmlReader reads the tokens of a part, each of a limited size.
type xmlReader struct {
	*xml.Decoder
	limit *tokenLimit
}

// tokenLimit limits the bytes that are read for one token.
type tokenLimit struct {
	r    io.Reader
	used int
}

func (t *tokenLimit) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.used += n; t.used > maxToken {
		return 0, errors.New("a cell or a tag is larger than 16 MiB")
	}
	return n, err
}

func newXMLReader(r io.Reader) *xmlReader {
	limit := &tokenLimit{r: r}
	return &xmlReader{Decoder: xml.NewDecoder(limit), limit: limit}
}

// next returns the next token. At the end of the part it is io.EOF.
func (x *xmlReader) next() (xml.Token, error) {
	x.limit.used = 0
	return x.RawToken()
}

// each calls start for each element, and text for the text directly in it, which
// may come in pieces.
func (a *archive) each(name string, start func(element string, attributes []xml.Attr), text func(element, piece string) error, end func(element string) error) (err error) {
	r, err := a.open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	x := newXMLReader(r)
	element := ""
	for {
		token, err := x.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			element = t.Name.Local
			start(element, t.Attr)
		case xml.CharData:
			if err := text(element, string(t)); err != nil {
				return err
			}
		case xml.EndElement:
			element = ""
			if err := end(t.Name.Local); err != nil {
				return err
			}
		}
	}
}

func (a *archive) eachStart(name string, start func(element string, attributes []xml.Attr)) error {
	return a.each(name, start, func(string, string) error { return nil }, func(string) error { return nil })
}

func attribute(attributes []xml.Attr, name string) string {
	for _, a := range attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// relations are the targets by their id, and the first target of each type.
type relations struct{ byID, byType map[string]string }

func (a *archive) relations(of string) (relations, error) {
	folder, file := path.Split(of)
	r := relations{map[string]string{}, map[string]string{}}
	err := a.eachStart(folder+"_rels/"+file+".rels", func(element string, attributes []xml.Attr) {
		if element != "Relationship" {
			return
		}
		target := sibling(folder, attribute(attributes, "Target"))
		r.byID[attribute(attributes, "Id")] = target
		kind := path.Base(attribute(attributes, "Type"))
		if r.byType[kind] == "" {
			r.byType[kind] = target
		}
	})
	return r, err
}

// book is what a workbook says about its sheets.
type book struct {
	folder   relations // of the workbook
	sheet    string    // the part of the first sheet
	others   []string  // the names of the others
	from1904 bool      // dates are counted from 1904
}

func (a *archive) findSheet() (b book, err error) {
	top, err := a.relations("")
	if err != nil {
		return b, err
	}
	name := top.byType["officeDocument"]
	if name == "" {
		return b, fault.At(0, "it is a ZIP file, but no workbook")
	}
	if b.folder, err = a.relations(name); err != nil {
		return b, err
	}
	err = a.eachStart(name, func(element string, attributes []xml.Attr) {
		switch element {
		case "workbookPr":
			date1904 := attribute(attributes, "date1904")
			b.from1904 = date1904 == "1" || date1904 == "true"
		case "sheet":
			target := b.folder.byID[attribute(attributes, "id")]
			if strings.Contains(target, "chartsheets/") {
				return
			}
			if b.sheet == "" {
				b.sheet = target
			} else {
				b.others = append(b.others, attribute(attributes, "name"))
			}
		}
	})
	if err == nil && b.sheet == "" {
		err = fault.At(0, "the workbook has no sheet")
	}
	return b, err
}

// sharedStrings returns the texts that cells refer to by their number. A text may
// have parts of different fonts; what is said about its pronunciation is left out.
func (a *archive) sharedStrings(of relations) (list []string, err error) {
	name := of.byType["sharedStrings"]
	if name == "" {
		return nil, nil
	}
	var current strings.Builder
	size, phonetic := 0, false
	err = a.each(name, func(element string, _ []xml.Attr) {
		switch element {
		case "si":
			current.Reset()
		case "rPh":
			phonetic = true
		}
	}, func(element, piece string) error {
		if element == "t" && !phonetic {
			current.WriteString(piece)
		}
		return nil
	}, func(element string) error {
		switch element {
		case "rPh":
			phonetic = false
		case "si":
			list = append(list, unescape(current.String()))
			if size += len(list[len(list)-1]) + 16; size > maxStrings {
				return fault.At(0, "the texts of the workbook take more than %d MiB; write it as CSV or JSON lines", maxStrings>>20)
			}
		}
		return nil
	})
	return list, err
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape replaces the escapes of characters that XML does not have. Source: ECMA-376,
// part 1, 22.9.2.19, ST_Xstring.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(e string) string {
		n, err := strconv.ParseUint(e[2:6], 16, 16)
		if err != nil || n >= 0xd800 && n < 0xe000 {
			return e
		}
		return string(rune(n))
	})
}
