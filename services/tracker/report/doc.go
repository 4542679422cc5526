// Package report writes what people read about a run: an Excel workbook and
// JSON files. Everything is made from the fold of the run's events and from
// the scores artifact of its evaluation, so it can be thrown away and written
// again.
//
// # Files
//
//	evaluator_output_detailed.xlsx   statistics, every row with its scores, distributions, error analysis
//	evaluator_output_summary.json    the statistics, for programs
//	pipeline_summary.json            phases, durations, scores, artifacts, lineage
//	config.toml                      the specification, every key
//	runs.json, runs.txt              one entry or line for each run
//
// Every file is written beside its place and renamed, so that readers see
// whole files only. The same input gives the same files (of a workbook the same
// parts: its list of content types has no fixed order).
//
// # Scores
//
// Scores are JSON lines, one [Row] each. They are read as a stream, twice: what
// a workbook holds in memory grows by 8 bytes for each score of a row, which
// exact quartiles need, and not with the texts.
//
// # Text in cells
//
// Texts come from models and data sets. They are written as string cells,
// never as formulas, whatever they start with; a text longer than a cell may
// be is cut and ends in "…".
package report
