package rundetail

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/comparison"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// writeInputs writes the data and the models that the run was given: what became of
// the rows that a phase has read, and the digests of everything.
func (d Detail) writeInputs(w io.Writer) {
	read := map[string]events.Dataset{}
	for _, state := range d.Run.Phases {
		if state.Completed != nil {
			for _, set := range state.Completed.Datasets {
				read[set.Key] = set
			}
		}
	}
	inputs := d.Run.Accepted.Inputs.References()
	names := map[string]bool{}
	for key := range read {
		names[key] = true
	}
	for key := range inputs {
		names[strings.TrimPrefix(key, "inputs.files.")] = true
	}
	if len(names) == 0 {
		return
	}
	fmt.Fprintln(w, "\nINPUTS")
	for _, key := range slices.Sorted(maps.Keys(names)) {
		ref, uploaded := inputs["inputs.files."+key]
		if !uploaded {
			ref, uploaded = inputs[key]
		}
		set, counted := read[key]
		fmt.Fprintf(w, "%s%s\n", key, before(": ", nameOf(d.Run.Accepted.Specification, key, ref)))
		if counted {
			fmt.Fprintf(w, "  %s\n", rowsOf(set))
		}
		switch {
		case counted && set.SHA256 != "":
			fmt.Fprintf(w, "  sha256 %s\n", set.SHA256)
		case uploaded:
			size := sizeOf(ref)
			if rows := comparison.RowsOf(d.Run, key); rows > 0 {
				size = view.Count(rows, "row") + ", " + size
			}
			fmt.Fprintf(w, "  %s\n  sha256 %s\n", size, ref.SHA256)
		}
	}
}

// sizeOf is the size of a file. A reference to a folder has that of its list of files.
func sizeOf(ref events.Reference) string {
	if ref.MediaType == manifest.MediaType {
		return "a folder"
	}
	return view.ByteSize(ref.Size)
}

// nameOf is how the specification names an input, or the name that it was uploaded
// with.
func nameOf(s events.Specification, key string, ref events.Reference) string {
	switch key {
	case "fine_tuner.training_data_id":
		return s.FineTuner.TrainingDataID
	case "fine_tuner.validation_data_id":
		return s.FineTuner.ValidationDataID
	case "fine_tuner.base_model_id":
		return s.FineTuner.BaseModelID
	case "inferencer.testing_data_id":
		return s.Inferencer.TestingDataID
	case "inferencer.model_id":
		return s.Inferencer.ModelID
	}
	return ref.Name
}

// rowsOf says what became of the rows of a data set.
func rowsOf(d events.Dataset) string {
	rows := max(d.RowsRead, d.Rows)
	parts := []string{view.Count(int(rows), "row")}
	if d.Rows != rows {
		parts = append(parts, fmt.Sprintf("%d used", d.Rows))
	}
	for _, c := range []struct {
		n    int64
		what string
	}{
		{d.Examples, "examples"},
		{d.WithoutAnswer, "without an answer"},
		{d.Dropped, "left out"},
		{d.CutInPrompt, "cut in the prompt"},
		{d.CutInAnswer, "cut in the answer"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(append(parts, view.ByteSize(d.Size)), ", ")
}

// writeArtifacts writes where the results of the phases lie.
func writeArtifacts(w io.Writer, run events.Run) {
	store := ""
	for _, step := range run.Accepted.Plan {
		state := run.Phases[step.Phase]
		if state == nil || state.Completed == nil {
			continue
		}
		for _, a := range state.Completed.Artifacts {
			if a.Reference.Store != store {
				store = a.Reference.Store
				fmt.Fprintf(w, "\nARTIFACTS, in store %s\n", store)
			}
			fmt.Fprintf(w, "%s %s, %s\n  %s\n  sha256 %s\n", step.Phase, a.Name, sizeOf(a.Reference), a.Reference.Key, a.Reference.SHA256)
		}
	}
}
