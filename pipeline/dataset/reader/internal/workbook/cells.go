package workbook

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// cell is a cell as a sheet stores it.
type cell struct {
	column  int // from 0
	kind    string
	style   int
	text    string // of the value, or of a text that is in the cell
	formula bool
}

// cellReader reads the cells of a sheet, row by row.
type cellReader struct {
	x   *xmlReader
	row int
}

func newCellReader(r io.Reader) *cellReader { return &cellReader{x: newXMLReader(r)} }

// next returns the number of the next row and its cells.
func (c *cellReader) next() (row int, cells []cell, err error) {
	for {
		token, err := c.x.next()
		if err == io.EOF {
			// A sheet that ends in the middle has no end of its data.
			return 0, nil, fault.At(c.row, "the sheet ends in the middle")
		}
		if err != nil {
			return 0, nil, fault.At(c.row+1, "the sheet is damaged: %w", err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			if t.Name.Local == "sheetData" {
				return 0, nil, io.EOF
			}
		case xml.StartElement:
			if t.Name.Local != "row" {
				continue
			}
			c.row++
			if n, err := strconv.Atoi(attribute(t.Attr, "r")); err == nil {
				c.row = n
			}
			cells, err := c.cells()
			if err != nil {
				return 0, nil, fault.At(c.row, "the sheet is damaged: %w", err)
			}
			return c.row, cells, nil
		}
	}
}

// cells reads the cells to the end of the row.
func (c *cellReader) cells() ([]cell, error) {
	var cells []cell
	element, column, phonetic, size := "", -1, false, 0
	for {
		token, err := c.x.next()
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			element = t.Name.Local
			switch element {
			case "c":
				if column, err = columnOf(attribute(t.Attr, "r"), column+1); err != nil {
					return nil, err
				}
				style, _ := strconv.Atoi(attribute(t.Attr, "s")) // no style is style 0
				cells = append(cells, cell{column: column, kind: attribute(t.Attr, "t"), style: style})
			case "f":
				if len(cells) > 0 {
					cells[len(cells)-1].formula = true
				}
			case "rPh":
				phonetic = true
			}
		case xml.CharData:
			if len(cells) > 0 && (element == "v" || element == "t" && !phonetic) {
				if size += len(t); size > maxToken {
					return nil, fmt.Errorf("the row is larger than %d MiB", maxToken>>20)
				}
				cells[len(cells)-1].text += string(t)
			}
		case xml.EndElement:
			element = ""
			switch t.Name.Local {
			case "row":
				return cells, nil
			case "rPh":
				phonetic = false
			}
		}
	}
}

// columnOf returns the column of a reference such as AB12, from 0. Without a
// reference it is the next one.
func columnOf(reference string, next int) (int, error) {
	letters := strings.TrimRight(strings.ToUpper(reference), "0123456789")
	column := 0
	for i := range len(letters) {
		if b := letters[i]; b < 'A' || b > 'Z' || column > maxColumn {
			return 0, fmt.Errorf("%.20q is no cell", reference)
		}
		column = 26*column + int(letters[i]-'A'+1)
	}
	if letters == "" {
		column = next + 1
	}
	if column > maxColumn {
		return 0, fmt.Errorf("%.20q is no cell", reference)
	}
	return column - 1, nil
}

// isEmpty reports whether a cell shows nothing.
func (s *Sheet) isEmpty(c cell) bool {
	if c.kind == "s" {
		i, err := strconv.Atoi(c.text)
		return err == nil && i >= 0 && i < len(s.strings) && s.strings[i] == ""
	}
	return c.text == "" && !c.formula
}

// value returns the value of a cell. Source of the types: ECMA-376, part 1, 18.18.11,
// ST_CellType.
func (s *Sheet) value(c cell) (value.Value, error) {
	if s.isEmpty(c) {
		return value.Value{}, nil
	}
	switch c.kind {
	case "s":
		i, err := strconv.Atoi(c.text)
		if err != nil || i < 0 || i >= len(s.strings) {
			return value.Value{}, fmt.Errorf("the workbook is damaged: it has no text %.20q", c.text)
		}
		return value.OfText(s.strings[i]), nil
	case "str":
		if c.text == "" {
			return value.Value{}, nil // a formula whose result is an empty text
		}
		return value.OfText(unescape(c.text)), nil
	case "inlineStr":
		return value.OfText(unescape(c.text)), nil
	case "d":
		return value.OfText(c.text), nil
	case "b":
		return value.OfBool(c.text == "1" || c.text == "true"), nil
	case "e":
		return value.Value{}, fmt.Errorf("the cell shows the error %.20s", c.text)
	}
	if c.text == "" {
		return value.Value{}, fmt.Errorf("the cell has a formula without its result; open the workbook in a spreadsheet program and save it")
	}
	return s.styles.number(c.text, c.style)
}
