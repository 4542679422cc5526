package workbook

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// styles are the few styles of cells.
type styles struct {
	title, note int
	// header stands over texts, headerNumber over numbers, which Excel puts to the
	// right.
	header, headerNumber int
	// text wraps. quoted is a text that stays one when a person edits its cell, although it looks
	// like a formula.
	text, quoted int
	// score has four decimals, gain its sign, too; share is a percentage, count
	// and number are plain numbers.
	score, gain, share, count, number int
	label                             int // a name, or a text on one line
}

// newStyles adds the styles to a file.
func newStyles(file *excelize.File) (styles, error) {
	var out styles
	format := func(s string) *string { return &s }
	const family = "Calibri"
	top := &excelize.Alignment{Vertical: "top"}
	number := &excelize.Alignment{Vertical: "top", Horizontal: "right", Indent: 1} // away from the text beside it
	wrapped := &excelize.Alignment{Vertical: "top", WrapText: true}
	header := func(horizontal string, indent int) excelize.Style {
		return excelize.Style{
			Font:      &excelize.Font{Bold: true, Family: family, Size: 11},
			Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DDE6F0"}},
			Border:    []excelize.Border{{Type: "bottom", Color: "7F93AA", Style: 1}},
			Alignment: &excelize.Alignment{Vertical: "top", Horizontal: horizontal, Indent: indent, WrapText: true},
		}
	}
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&out.title, excelize.Style{Font: &excelize.Font{Bold: true, Family: family, Size: 14}}},
		{&out.note, excelize.Style{Font: &excelize.Font{Italic: true, Family: family, Size: 11, Color: "666666"}}},
		{&out.header, header("left", 0)},
		{&out.headerNumber, header("right", 1)},
		{&out.text, excelize.Style{Alignment: wrapped}},
		{&out.quoted, excelize.Style{Alignment: &excelize.Alignment{Vertical: "top", WrapText: true, Horizontal: "left"}}},
		{&out.score, excelize.Style{Alignment: number, CustomNumFmt: format("0.0000")}},
		{&out.gain, excelize.Style{Alignment: number, CustomNumFmt: format("+0.0000;-0.0000;0.0000")}},
		{&out.share, excelize.Style{Alignment: number, CustomNumFmt: format("0.0%")}},
		{&out.count, excelize.Style{Alignment: number, CustomNumFmt: format("#,##0")}},
		{&out.number, excelize.Style{Alignment: number}},
		{&out.label, excelize.Style{Alignment: top}},
	} {
		id, err := file.NewStyle(&s.style)
		if err != nil {
			return out, fmt.Errorf("style: %w", err)
		}
		*s.id = id
	}
	yes := true
	file.Styles.CellXfs.Xf[out.quoted].QuotePrefix = &yes // excelize has no option for it
	return out, nil
}

// ofText is the style of a text in a cell of its own.
func (s styles) ofText(text string) int {
	if text != "" {
		switch text[0] {
		case '=', '+', '-', '@', '\t':
			return s.quoted
		}
	}
	return s.text
}
