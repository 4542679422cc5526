// Package workbook writes the Excel workbook of an evaluation: statistics, every
// row with its scores, score distributions with charts, and an error analysis.
//
// The rows are streamed, so the size of their texts does not matter. The same
// input gives the same bytes.
//
// # Text in cells
//
// Texts come from models and data sets. They are written as string cells and
// never as formulas, whatever character they start with. A text that is too
// long for a cell is cut and ends in "…".
package workbook
