// Package report writes the report files of a run: JSON summaries, its
// specification, and an Excel workbook of its evaluation.
//
//	evaluator_output_detailed.xlsx   statistics, every row with its scores, distributions, error analysis
//	evaluator_output_summary.json    the statistics, for programs
//	pipeline_summary.json            phases, durations, scores, artifacts, lineage
//	config.toml                      the specification, every key; the run can be started again with it
//
// [Write] makes them from the fold of the run's facts and from the scores
// artifact of its evaluation alone, so they can be deleted and written again.
// The same input gives the same bytes. Every file is written under a temporary
// name and renamed, so readers see complete files only.
//
//	files, err := report.Write(ctx, filepath.Join("reports", run.ID), report.Report{Run: run, Scores: open})
//
// Package report/runlist writes the list of all runs, which has one entry for
// each run.
package report
