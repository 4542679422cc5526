package tracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// track says everything about a run to MLflow. Links lead to its MLflow
// runs; gaps name what MLflow will never take.
func (s *Service) track(ctx context.Context, st story, files []report.File) (links map[string]string, gaps []string, err error) {
	run := st.run
	target, err := s.target(run)
	if err != nil {
		return map[string]string{}, []string{err.Error()}, nil // trying again would not help
	}
	experiment, err := target.Experiment(ctx, run.Accepted.Specification.MLflow.ExperimentName)
	if err != nil {
		return nil, nil, err
	}
	w := writer{service: s, target: target, experiment: experiment, run: run, links: map[string]string{}}
	top := parent(run, s.cfg.Version)
	parentID, err := w.write(ctx, top)
	if err != nil {
		return nil, nil, err
	}
	for _, step := range run.Accepted.Plan {
		if !st.begun(step.Phase) {
			continue
		}
		state := run.Phases[step.Phase]
		d := child(run, step.Phase, state)
		d.run.StartTime = st.began[step.Phase]
		d.run.ParentID = parentID
		id, err := w.write(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		if state.Completed == nil {
			s.live.found(run.ID, step.Phase, &place{target: target, id: id, said: history.New(s.bus).Metrics(run.ID, step.Phase), steps: map[string]int64{}})
		} else {
			s.live.done(run.ID, step.Phase)
		}
		failpoint.Here(failpoint.MLflowMetrics)
		if err := w.artifacts(ctx, id, step.Phase, state, files); err != nil {
			return nil, nil, err
		}
		failpoint.Here(failpoint.MLflowArtifacts)
		if err := w.end(ctx, id, d); err != nil {
			return nil, nil, err
		}
		failpoint.Here(failpoint.MLflowEnded)
	}
	for _, f := range files {
		if err := w.put(ctx, parentID, f.Name, f); err != nil {
			return nil, nil, err
		}
	}
	return w.links, w.gaps, w.end(ctx, parentID, top)
}

// writer writes one pipeline run.
type writer struct {
	service    *Service
	target     mlflow.Target
	experiment string
	run        events.Run
	links      map[string]string
	gaps       []string
}

func (w *writer) write(ctx context.Context, d desired) (string, error) {
	id, err := w.target.EnsureRun(ctx, w.experiment, d.key, d.run)
	if err != nil {
		return "", err
	}
	failpoint.Here(failpoint.MLflowCreated)
	w.links["mlflow_"+d.key.Phase] = w.target.RunURL(w.experiment, id)
	var conflict *mlflow.ParamConflictError
	if err := w.target.LogParams(ctx, id, d.params); errors.As(err, &conflict) {
		w.gaps = append(w.gaps, conflict.Error())
	} else if err != nil {
		return "", err
	}
	failpoint.Here(failpoint.MLflowParams)
	if err := w.target.SetTags(ctx, id, d.tags); err != nil {
		return "", err
	}
	if err := w.target.LogInputs(ctx, id, d.inputs); err != nil {
		return "", err
	}
	return id, w.target.LogMetrics(ctx, id, d.metrics)
}

func (w *writer) end(ctx context.Context, id string, d desired) error {
	if d.status == "" {
		return nil
	}
	return w.target.EndRun(ctx, id, d.status, d.end)
}

// artifacts copies what a phase made, and its metric history.
func (w *writer) artifacts(ctx context.Context, id string, p events.Phase, state *events.PhaseState, files []report.File) error {
	if state.Completed == nil {
		return nil
	}
	for _, a := range state.Completed.Artifacts {
		if a.Reference.Store != w.service.store.ID() {
			w.gaps = append(w.gaps, fmt.Sprintf("artifact %s lies in another store", a.Reference.Key))
			continue
		}
		if a.Name == artifactMetrics {
			continue
		}
		err := w.target.PutArtifact(ctx, id, mlflow.Artifact{
			Path: path.Base(a.Reference.Key), Size: a.Reference.Size,
			Open: func(ctx context.Context) (io.ReadCloser, error) { return w.service.store.Get(ctx, a.Reference) },
		})
		if err != nil {
			return err
		}
	}
	if err := w.points(ctx, id, p, state.Completed); err != nil {
		return err
	}
	if p == events.Evaluation {
		for _, f := range files {
			if f.Name == report.PipelineSummaryName || f.Name == report.ConfigName {
				continue // the parent's
			}
			if err := w.put(ctx, id, f.Name, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) put(ctx context.Context, id, name string, f report.File) error {
	return w.target.PutArtifact(ctx, id, mlflow.Artifact{Path: name, Size: f.Size, Open: func(context.Context) (io.ReadCloser, error) { return os.Open(f.Path) }})
}

// scores opens the scores artifact of the evaluation, or is nil.
func (s *Service) scores(run events.Run) report.Opener {
	p := run.Phases[events.Evaluation]
	if p == nil || p.Completed == nil {
		return nil
	}
	ref, ok := p.Completed.Artifact("scores")
	if !ok || ref.Store != s.store.ID() {
		return nil
	}
	return func(ctx context.Context) (io.ReadCloser, error) { return s.store.Get(ctx, ref) }
}
