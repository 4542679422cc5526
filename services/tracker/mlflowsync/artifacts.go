package mlflowsync

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// putArtifacts copies the artifacts of a phase, except for its metric history.
func (w *mlflowWriter) putArtifacts(ctx context.Context, id string, run events.Run, done *events.PhaseCompleted) error {
	for _, a := range done.Artifacts {
		if a.Reference.Store != w.store.ID() {
			w.result.Gaps = append(w.result.Gaps, fmt.Sprintf("artifact %s lies in another store", a.Reference.Key))
			continue
		}
		var err error
		switch {
		case a.Name == events.ArtifactMetrics:
		case a.Name == events.ArtifactModel && manifest.Is(a.Reference):
			m := &modelWriter{target: w.target, experiment: w.experiment, files: storedFiles{w.store}}
			w.model, err = m.put(ctx, id, run, a.Reference)
			w.result.Gaps = append(w.result.Gaps, m.gaps...)
		default:
			err = w.putArtifact(ctx, id, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putArtifact copies an artifact: a file under the last part of its key, a
// folder file by file under its name.
func (w *mlflowWriter) putArtifact(ctx context.Context, id string, a events.Artifact) error {
	if !manifest.Is(a.Reference) {
		return w.target.PutArtifact(ctx, id, storedFiles{w.store}.file(path.Base(a.Reference.Key), a.Reference))
	}
	m, err := storedFiles{w.store}.folder(ctx, a.Reference)
	if err != nil {
		return err
	}
	for _, file := range m.Files {
		if err := w.target.PutArtifact(ctx, id, storedFiles{w.store}.file(a.Name+"/"+file.Path, m.Reference(a.Reference, file))); err != nil {
			return err
		}
	}
	return nil
}

// putEvaluationReports stores the reports of the evaluation with its run. The
// other ones are about the whole pipeline run, so only the parent has them.
func (w *mlflowWriter) putEvaluationReports(ctx context.Context, id string, files []report.File) error {
	for _, f := range files {
		if f.Name == report.PipelineSummaryName || f.Name == report.ConfigName {
			continue
		}
		if err := w.putReport(ctx, id, f); err != nil {
			return err
		}
	}
	return nil
}

func (w *mlflowWriter) putReport(ctx context.Context, id string, f report.File) error {
	return w.target.PutArtifact(ctx, id, mlflow.Artifact{
		Path: f.Name,
		Size: f.Size,
		Open: func(context.Context) (io.ReadCloser, error) { return os.Open(f.Path) },
	})
}
