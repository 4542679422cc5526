package workbook

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// writeRun writes what the scores came from: the model, the data, the phases and
// the whole specification.
func (b *workbook) writeRun() error {
	s := b.sheet(sheetRun)
	s.widths(36, 44, 14, 14, 14, 14, 14, 14, 68)
	s.line(s.styles.title, "Run "+nameOf(b.summary))
	a := b.run.Accepted
	if a == nil {
		s.line(s.styles.note, "The request of the run is not known.")
		return s.done()
	}
	s.line(0, "Run", a.RunID)
	s.line(0, "Asked for", clock(a.RequestedAt))
	if done := b.run.Completed; done != nil {
		s.line(0, "Ended", clock(done.EndedAt))
		result := string(runsummary.StatusOf(b.run))
		if why := runsummary.Shortfall(b.run); why != "" {
			result += ": " + why
		}
		s.line(0, "Result", text(result))
	}
	if a.Lineage.RerunOf != "" {
		s.line(0, "Repeats the run", a.Lineage.RerunOf)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		s.line(0, "Label "+name, text(a.Labels[name]))
	}
	s.models(b.run, a, b.size)
	s.dataSets(b.run, a)
	s.phases(b.run, a)
	s.hyperParameters(a.Specification, b.run.Used())
	return s.done()
}

func clock(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// place is where a key's file was: its path, or what the key says.
func place(a *events.PipelineAccepted, key string) (said, sha256 string) {
	said = spec.Value(a.Specification, key)
	ref, local := a.Inputs.Files[key]
	if !local {
		return said, ""
	}
	return cmp.Or(a.Inputs.Paths[key], said), ref.SHA256
}

// models writes the base model, the model that was tuned, and one of the
// request.
func (s *sheet) models(run events.Run, a *events.PipelineAccepted, size func(events.Reference) int64) {
	s.row++
	s.line(s.styles.title, "Model")
	s.header("Model", "Named", overNumber("Bytes"), nil, nil, nil, nil, nil, "SHA-256")
	line := func(what, named string, n int64, sha256 string) {
		var bytes any
		if n > 0 {
			bytes = n
		}
		s.line(0, what, text(named), bytes, nil, nil, nil, nil, nil, text(sha256))
	}
	for _, p := range spec.Paths(a.Specification) {
		if !p.IsData() {
			named, sha256 := place(a, p.Key)
			line(p.Key, named, size(a.Inputs.Files[p.Key]), sha256)
		}
	}
	if m := a.Inputs.Model; m != nil {
		line("Model of the request", m.Key, size(*m), m.SHA256)
	}
	if p := run.Phases[events.Finetune]; p != nil && p.Completed != nil {
		if ref, ok := p.Completed.Artifact(events.ArtifactModel); ok {
			line("Tuned model", ref.Key, size(ref), ref.SHA256)
		}
	}
}

// dataSets writes what became of the rows of each data set.
func (s *sheet) dataSets(run events.Run, a *events.PipelineAccepted) {
	s.row++
	s.line(s.styles.title, "Data")
	s.header("Data", "Named", overNumber("Rows read"), overNumber("Rows used"), overNumber("Without answer"),
		overNumber("Dropped"), overNumber("Cut in prompt"), overNumber("Cut in answer"), "SHA-256")
	for _, p := range events.Phases() {
		state := run.Phases[p]
		if state == nil || state.Completed == nil {
			continue
		}
		for _, d := range state.Completed.Datasets {
			named, _ := place(a, d.Key)
			s.line(0, d.Key, text(named), cmp.Or(d.RowsRead, d.Rows), d.Rows, d.WithoutAnswer, d.Dropped, d.CutInPrompt, d.CutInAnswer, text(d.SHA256))
		}
	}
}

// phases writes what the phases did, and their notes.
func (s *sheet) phases(run events.Run, a *events.PipelineAccepted) {
	s.row++
	s.line(s.styles.title, "Phases")
	s.header("Phase", "Result", overNumber("Attempts"), overNumber("Seconds"), overNumber("Tokens in"), overNumber("Tokens out"))
	var notes [][2]string
	for _, step := range a.Plan {
		p := run.Phases[step.Phase]
		if p == nil {
			s.line(0, string(step.Phase), runsummary.PhaseStatus(run, step.Phase))
			continue
		}
		line := []any{string(step.Phase), runsummary.PhaseStatus(run, step.Phase), runsummary.Tries(p)}
		if done := p.Completed; done != nil {
			line = append(line, math.Round(10*done.EndedAt.Sub(done.StartedAt).Seconds())/10, done.TokensIn, done.TokensOut)
			if done.Error != nil {
				notes = append(notes, [2]string{string(step.Phase), done.Error.Message})
			}
			for _, note := range done.Notes {
				notes = append(notes, [2]string{string(step.Phase), note})
			}
		}
		s.line(0, line...)
	}
	if len(notes) == 0 {
		return
	}
	s.row++
	s.line(s.styles.title, "Notes")
	s.header("Phase", "Note")
	for _, note := range notes {
		s.line(0, note[0], note[1])
	}
}

// hyperParameters writes the whole specification, with the defaults where it
// differs from them, and what was used where a key had no effect.
func (s *sheet) hyperParameters(specification events.Specification, used map[string]string) {
	s.row++
	s.line(s.styles.title, "Hyper-parameters")
	s.line(s.styles.note, fmt.Sprintf("All keys of the specification; %q is no value. A default stands only beside a value that differs from it.", structconf.Null))
	header := []any{"Key", "Value", "Default"}
	if len(used) > 0 {
		header = append(header, "Used")
	}
	s.header(header...)
	defaults := structconf.Values(spec.Defaults())
	for i, v := range structconf.Values(specification) {
		line := []any{v.Section + "." + v.Name, text(v.Text)}
		if v.Text != defaults[i].Text {
			line = append(line, defaults[i].Text)
		}
		if value, instead := used[v.Section+"."+v.Name]; instead {
			line = append(append(line, nil, nil)[:3], text(value))
		}
		s.line(0, line...)
	}
}
