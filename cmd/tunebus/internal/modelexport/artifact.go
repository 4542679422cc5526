package modelexport

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
)

// NoArtifactError says that a run has no artifact of a name, or several.
type NoArtifactError struct {
	Run, Name string
	// Same are those of several phases that have the name, and Has are all artifacts, as a
	// person names them.
	Same, Has []string
}

func (e *NoArtifactError) Error() string {
	switch {
	case len(e.Same) > 1:
		return fmt.Sprintf("several phases of run %s have an artifact %q; name one of %s", e.Run, e.Name, strings.Join(e.Same, ", "))
	case len(e.Has) == 0:
		return fmt.Sprintf("run %s has no artifact yet, and none of the name %q", e.Run, e.Name)
	}
	return fmt.Sprintf("run %s has no artifact %q; it has %s", e.Run, e.Name, strings.Join(e.Has, ", "))
}

// FindArtifact returns an artifact of a run by its name, or by its phase and name, such as
// "evaluation/metrics". The error is a [*NoArtifactError].
func FindArtifact(run events.Run, name string) (events.Artifact, error) {
	type named struct {
		whole string
		events.Artifact
	}
	var all []named
	count := map[string]int{}
	for _, p := range events.Phases() {
		state := run.Phases[p]
		if state == nil || state.Completed == nil {
			continue
		}
		for _, a := range state.Completed.Artifacts {
			all = append(all, named{string(p) + "/" + a.Name, a})
			count[a.Name]++
		}
	}
	var found events.Artifact
	none := &NoArtifactError{Run: run.ID, Name: name}
	for _, a := range all {
		if a.Name == name || a.whole == name {
			found = a.Artifact
			none.Same = append(none.Same, a.whole)
		}
		if count[a.Name] > 1 {
			none.Has = append(none.Has, a.whole)
		} else {
			none.Has = append(none.Has, a.Name)
		}
	}
	if len(none.Same) == 1 {
		return found, nil
	}
	return events.Artifact{}, none
}

// ArtifactResult is an artifact that was written. Its JSON is part of the program's
// interface.
type ArtifactResult struct {
	RunID    string   `json:"run_id"`
	Artifact string   `json:"artifact"`
	Folder   string   `json:"folder"` // absolute
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"`
}

// WriteArtifact writes an artifact of a run to a new or empty folder, as it is: the files of a
// folder, or the one file by the name of the artifact. With o.Force other files may lie
// there, and stay.
func WriteArtifact(ctx context.Context, files *transfer.Files, run events.Run, a events.Artifact, dir string, o Options) (res ArtifactResult, err error) {
	to, err := findTarget(dir, run, o)
	if err != nil {
		return res, err
	}
	if err := to.begin(); err != nil {
		return res, err
	}
	defer func() { err = to.end(err) }()
	out := filepath.Join(to.scratch, "out")
	if manifest.Is(a.Reference) {
		err = files.ExportDir(ctx, a.Reference, out)
	} else if err = os.Mkdir(out, 0o755); err == nil {
		err = files.Fetch(ctx, a.Reference, filepath.Join(out, filepath.Base(a.Name)))
	}
	if err != nil {
		return res, err
	}
	res = ArtifactResult{RunID: run.ID, Artifact: a.Name, Folder: to.dir}
	if res.Files, res.Bytes, err = listAll(out); err != nil {
		return res, err
	}
	_, err = to.publish(out, res.Files, false)
	return res, err
}
