package workbook

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// writeStatistics writes the first sheet: counts, scores, gates and statistics.
func (b *workbook) writeStatistics() error {
	s := b.sheet(sheetStatistics)
	sum := b.summary
	s.widths(30, 16, 14, 14, 14, 14, 14, 14, 14, 14)
	s.line(s.styles.title, "Evaluation of "+nameOf(sum))
	s.line(0, "Run", sum.RunID)
	s.line(0, "Rows", sum.Rows)
	s.line(0, "Failed rows", sum.Failed)
	s.line(0, "Empty answers", sum.Empty)
	if sum.Export != "" {
		s.line(0, "Take the model out", sum.Export)
	}
	if sum.WithKeyFact > 0 {
		s.line(0, "Key facts missing", sum.MissingKeyFact, fmt.Sprintf("of %d", sum.WithKeyFact))
	}
	for _, note := range b.notes() {
		s.line(s.styles.note, note)
	}
	if sum.Unscored > 0 {
		s.line(0, "Rows that lack a score", sum.Unscored)
	}
	writeScores(s, sum, b.model)
	writeUnscored(s, sum, b.model)
	s.row++
	s.line(s.styles.title, "Statistics over rows")
	s.header("Metric", "Answers of", overNumber("Count"), overNumber("Mean"), overNumber("Std"), overNumber("Min"),
		overNumber("25 %"), overNumber("Median"), overNumber("75 %"), overNumber("Max"))
	for _, m := range sum.Metrics {
		if m.SameAs != "" {
			continue
		}
		s.statistics(m.Name, b.model, m.Statistics)
		s.statistics(m.Name, baseModel, m.Baseline)
	}
	return s.done()
}

// notes say what the workbook leaves out.
func (b *workbook) notes() (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if b.shown < b.summary.Rows {
		add("The sheet %q shows the first %d rows, more do not fit into a sheet; all figures count all %d.", sheetSamples, b.shown, b.summary.Rows)
	}
	if b.cut > 0 {
		add("Texts that are longer than a cell (32,767 characters) end in \"…\": %d. The rows of the artifact \"scores\" have them whole.", b.cut)
	}
	if b.tall > 0 {
		add("Rows in %q that show only the beginning of a text: %d. The cell has all of it.", sheetSamples, b.tall)
	}
	for _, m := range b.summary.Metrics {
		if m.SameAs != "" {
			add("In each row %s is equal to %s, so it has no column of its own.", m.Name, m.SameAs)
		}
	}
	return notes
}

func (s *sheet) statistics(metric, of string, st *scores.Statistics) {
	if st == nil {
		return
	}
	var std any
	if st.Std != nil {
		std = *st.Std
	}
	s.line(0, metric, of, st.Count, st.Mean, std, st.Min, st.Q1, st.Median, st.Q3, st.Max)
}

// writeScores writes the scores of the run, and the gates on them.
func writeScores(s *sheet, sum scores.Summary, model string) {
	means, baseline := sum.Scores, sum.BaselineScores
	names := slices.Collect(maps.Keys(means))
	for name := range sum.Coverage { // also those that no row has a score of
		if _, scored := means[name]; !scored {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		s.row++
		s.line(s.styles.title, "Scores of the run")
		header := []any{"Metric", overNumber(model)}
		if len(baseline) > 0 {
			header = append(header, overNumber(baseModel), overNumber("Difference"))
		}
		covered := len(sum.Coverage) > 0
		if covered {
			header = append(header, overNumber("Scored rows"), overNumber("Rows"), overNumber("Coverage"))
		}
		s.header(header...)
		for _, name := range names {
			line := []any{name, nil}
			mean, scored := means[name]
			if scored {
				line[1] = mean
			}
			if base, ok := baseline[name]; ok && scored {
				line = append(line, base, gain(mean-base))
			} else if len(baseline) > 0 && covered {
				line = append(line, nil, nil)
			}
			if c, ok := sum.Coverage[name]; ok {
				line = append(line, c.Scored, c.Rows, share(c.Share()))
			}
			s.line(0, line...)
		}
	}
	if len(sum.Gates) > 0 {
		s.row++
		s.line(s.styles.title, "Gates")
		s.header("Metric", overNumber("Score"), overNumber("At least"), "Met", "Reason")
		for _, gate := range sum.Gates {
			met := "no"
			if gate.Met {
				met = "yes"
			}
			line := []any{gate.Metric, gate.Score, gate.AtLeast, met}
			if gate.Reason != "" {
				line = append(line, gate.Reason)
			}
			s.line(0, line...)
		}
	}
}

// writeUnscored writes why rows have no score, by metric.
func writeUnscored(s *sheet, sum scores.Summary, model string) {
	title := false
	for _, m := range sum.Metrics {
		if m.Name != spec.MainScore(m.Name) {
			continue // it lacks the rows of the main score
		}
		for _, of := range []struct {
			answers string
			reasons []scores.Reason
		}{{model, m.Unscored}, {baseModel, m.BaselineUnscored}} {
			for _, r := range of.reasons {
				if !title {
					s.row++
					s.line(s.styles.title, "Rows without a score")
					s.header("Metric", "Answers of", overNumber("Rows"), "Reason")
					title = true
				}
				s.line(0, m.Name, of.answers, r.Rows, r.Reason)
			}
		}
	}
}
