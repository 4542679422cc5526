package runconfig

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Write writes the file from which a run can be started again, in any working
// folder: paths are absolute. trackedAt is the MLflow of the runs that name
// none; empty if it is not known. roots are the folders below which the services of the run
// found relative paths; a path that is in none of them now stays as it is, and a comment
// says so. A run that was not accepted has no such file.
func Write(w io.Writer, run events.Run, trackedAt string, roots []string) error {
	a := run.Accepted
	if a == nil {
		return fmt.Errorf("write the configuration of run %s: it was not accepted", run.ID)
	}
	f := file{accepted: *a, specification: a.Specification}
	f.placePaths(roots)
	f.nameQueues()
	f.nameTracking(trackedAt)
	section, err := f.section()
	if err != nil {
		return fmt.Errorf("write section %s: %w", Section, err)
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "# Run %s (%s), asked for at %s.\n", comment(a.RunName), a.RunID, a.RequestedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	body.WriteString("# \"tunebus run\" with this file starts it again. Every key stands here with its value; one without a value in a comment.\n")
	if before := phasesBefore(*a); before != "" {
		fmt.Fprintf(&body, "# It took what run %s had made before its own first phase: with this file %s is done anew.\n# \"tunebus rerun %s --from %s\" repeats it as it was.\n",
			a.Lineage.RerunOf, before, a.RunID, a.Plan[0].Phase)
	}
	if f.uploaded && len(a.Plan) > 0 {
		fmt.Fprintf(&body, "# Its files were uploaded: where they are not at their paths, \"tunebus rerun %s --from %s\" starts it again with the uploaded ones.\n", a.RunID, a.Plan[0].Phase)
	}
	if len(f.remarks) > 0 {
		body.WriteString("#\n")
	}
	for _, remark := range f.remarks {
		fmt.Fprintf(&body, "# %s\n", comment(remark))
	}
	body.WriteByte('\n')
	body.Write(section)
	if err := structconf.Write(&body, f.specification); err != nil {
		return err
	}
	_, err = body.WriteTo(w)
	return err
}

// phasesBefore are the phases that a run took from the run that it repeats, and that its
// specification has.
func phasesBefore(a events.PipelineAccepted) string {
	if a.Lineage.RerunOf == "" || len(a.Plan) == 0 {
		return ""
	}
	var before []string
	for _, step := range spec.Plan(a.Specification) {
		if step.Phase == a.Plan[0].Phase {
			break
		}
		before = append(before, string(step.Phase))
	}
	return strings.Join(before, " and ")
}

// file is the content of a file while it is made.
type file struct {
	accepted      events.PipelineAccepted
	specification events.Specification
	// remarks say what the inputs were, and what the file cannot say.
	remarks []string
	// uploaded is set if a file was uploaded.
	uploaded bool
}

func (f *file) remark(format string, args ...any) {
	f.remarks = append(f.remarks, fmt.Sprintf(format, args...))
}

// placePaths gives the keys that name files of the person's machine, or of that of the
// services, absolute paths.
func (f *file) placePaths(roots []string) {
	in := f.accepted.Inputs
	for _, p := range spec.Paths(f.specification) {
		ref, isFile := in.Files[p.Key]
		if !isFile {
			f.placeBelow(roots, p)
			continue
		}
		path := in.Paths[p.Key]
		if localinput.Is(ref) {
			path = ref.Key
		} else {
			f.uploaded = true
		}
		if path == "" {
			f.remark("%s: the file was uploaded, and its folder is not known; a relative path starts here.", p.Key)
			continue
		}
		if !strings.HasSuffix(filepath.ToSlash(path), filepath.ToSlash(filepath.Base(p.Value))) {
			path += strings.TrimPrefix(p.Value, p.Place()) // the configuration and the split behind the path
		}
		if strings.Contains(path, "${") {
			f.remark("%s: the path holds \"${\", which begins the name of a variable; name the file otherwise.", p.Key)
		}
		spec.SetPath(&f.specification, p.Key, path)
		f.remark("%s: sha256 %s", p.Key, ref.SHA256)
	}
}

// placeBelow gives a key whose file the services found below their data roots the absolute
// path. An id of the Hub stays as it is: a file goes first, as for the services.
func (f *file) placeBelow(roots []string, p spec.Path) {
	if filepath.IsAbs(p.Place()) {
		return
	}
	found, behind := "", ""
	for _, name := range []string{p.Value, p.Place()} { // a path that has a colon itself goes first
		path, err := allowedpath.Find(roots, name)
		if err == nil {
			found, behind = path, strings.TrimPrefix(p.Value, name)
			break
		}
	}
	switch {
	case found == "" && spec.IsHubID(p.Place()):
		return
	case found == "":
		f.remark("%s: the services found the file below their data roots; a relative path starts here.", p.Key)
		return
	case strings.Contains(found, "${"):
		f.remark("%s: the path holds \"${\", which begins the name of a variable; name the file otherwise.", p.Key)
	}
	spec.SetPath(&f.specification, p.Key, found+behind)
}

// nameQueues names the queues that the request named beside its specification.
func (f *file) nameQueues() {
	s := &f.specification
	for _, step := range f.accepted.Plan {
		queue := map[events.Phase]*string{
			events.Finetune: &s.FineTuner.Queue, events.Inference: &s.Inferencer.Queue, events.Evaluation: &s.Evaluator.Queue,
		}[step.Phase]
		if step.Queue != "" && !slices.ContainsFunc(spec.Plan(*s), func(own events.Step) bool { return own.Phase == step.Phase && own.Queue == step.Queue }) {
			*queue = step.Queue
		}
	}
}

// nameTracking names the MLflow that the run was written to.
func (f *file) nameTracking(at string) {
	if f.specification.MLflow.TrackingURI != "" || at == "" {
		return
	}
	if u, err := url.Parse(at); err == nil && u.User != nil {
		f.remark("mlflow.tracking_uri: the tracker's own, which holds a user; it is not written here.")
		return
	}
	f.specification.MLflow.TrackingURI = at
}

// section is the section run; nil if the run needs none.
func (f *file) section() ([]byte, error) {
	in := f.accepted.Inputs
	values := map[string]any{}
	if len(f.accepted.Labels) > 0 {
		values[labelsKey] = f.accepted.Labels
	}
	// With inference in the specification the run makes its answers itself; its
	// references to answers are those of a run that it repeats.
	if !slices.ContainsFunc(spec.Plan(f.specification), func(s events.Step) bool { return s.Phase == events.Inference }) {
		for name, ref := range map[string]*events.Reference{Predictions: in.Predictions, Baseline: in.BaselinePredictions} {
			if ref == nil {
				continue
			}
			if in.Paths[name] == "" {
				f.remark("%s.%s: the answers were %s of the artifact store; write the path of a copy of them.", Section, name, ref.Key)
				continue
			}
			values[name] = in.Paths[name]
			f.remark("%s.%s: sha256 %s", Section, name, ref.SHA256)
		}
		slices.Sort(f.remarks)
	}
	if in.Model != nil && f.accepted.Plan[0].Phase == events.Inference && !f.specification.Pipeline.EnableFinetuning {
		f.remark("inputs.model: the run used the model %s of the artifact store, which no key names.", in.Model.Key)
	}
	if len(values) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "[%s]\n", Section)
	var body bytes.Buffer
	if err := toml.NewEncoder(&body).SetTablesInline(true).Encode(values); err != nil {
		return nil, err
	}
	out.WriteString(structconf.Escape(body.String()))
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// comment makes a text that stays on one line, and has no character that cannot be
// seen: it may be one that turns the direction of what stands behind it.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
