package workbook

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// page is how a sheet is printed, and how large it is.
type page struct {
	// columns and rows are the size of the cells.
	columns, rows int
	// printedColumns and printedRows are larger where a chart stands beside them.
	printedColumns, printedRows int
	// head is the row that is repeated on each page; 0: none.
	head int
}

const paperA4 = 9

// setPage records the size of a sheet, for readers that rely on it, and has it
// printed in landscape, as wide as the paper, with its head on each page. Where
// rows are streamed it has to come first.
func setPage(file *excelize.File, sheet string, p page) error {
	at := func(columns, rows int) (string, error) {
		return excelize.CoordinatesToCellName(max(1, columns), max(1, rows), true)
	}
	cell, err := excelize.CoordinatesToCellName(max(1, p.columns), max(1, p.rows))
	if err != nil {
		return err
	}
	if err := file.SetSheetDimension(sheet, "A1:"+cell); err != nil {
		return err
	}
	last, err := at(max(p.columns, p.printedColumns), max(p.rows, p.printedRows))
	if err != nil {
		return err
	}
	names := []excelize.DefinedName{{Name: "_xlnm.Print_Area", RefersTo: fmt.Sprintf("'%s'!$A$1:%s", sheet, last), Scope: sheet}}
	if p.head > 0 {
		names = append(names, excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: fmt.Sprintf("'%s'!$%d:$%d", sheet, p.head, p.head), Scope: sheet})
	}
	for _, name := range names {
		if err := file.SetDefinedName(&name); err != nil {
			return err
		}
	}
	landscape, paper, wide, high, fit := "landscape", paperA4, 1, 0, true
	if err := file.SetSheetProps(sheet, &excelize.SheetPropsOptions{FitToPage: &fit}); err != nil {
		return err
	}
	err = file.SetPageLayout(sheet, &excelize.PageLayoutOptions{Orientation: &landscape, Size: &paper, FitToWidth: &wide, FitToHeight: &high})
	if err != nil {
		return err
	}
	side, end := 0.4, 0.6 // inches
	err = file.SetPageMargins(sheet, &excelize.PageLayoutMarginsOptions{Left: &side, Right: &side, Top: &end, Bottom: &end})
	if err != nil {
		return err
	}
	return file.SetHeaderFooter(sheet, &excelize.HeaderFooterOptions{OddHeader: "&L&A", OddFooter: "&L&F&R&P / &N"})
}
