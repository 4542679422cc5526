package mlflowsync

import (
	"context"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// loggedModel is the logged model of the run that is written, and the MLflow run
// that made it. It is empty if there is none.
type loggedModel struct{ id, run string }

// Alias is the alias of the newest version of a registered model that a run
// with all gates met has made.
const Alias = "gates-met"

// linkRegistered is the link to the version in the registry.
const linkRegistered = "mlflow_registered_model"

// register registers the model of a run that asks for it and whose gates are
// met. Where they are not, a tag of the parent says why.
func (w *mlflowWriter) register(ctx context.Context, parentID string, run events.Run) error {
	name := run.Accepted.Specification.MLflow.RegisterAs
	if name == "" || run.Completed == nil {
		return nil
	}
	fault := spec.CheckModelName(name)
	if fault != nil {
		w.result.Gaps = append(w.result.Gaps, fmt.Sprintf("mlflow.register_as: %v", fault))
	}
	if err := w.findReused(ctx, run); err != nil {
		return err
	}
	if why := notRegistered(run, w.model, fault); why != "" {
		return w.target.SetTags(ctx, parentID, []mlflow.Tag{{Key: "tunebus.not_registered", Value: why}})
	}
	version, err := w.target.Register(ctx, mlflow.Registration{
		Name: name, ModelID: w.model.id, RunID: w.model.run, Alias: Alias, At: run.Completed.EndedAt,
		Tags: []mlflow.Tag{{Key: mlflow.TagRunID, Value: run.ID}},
	})
	if err != nil {
		return err
	}
	w.result.Links[linkRegistered] = fmt.Sprintf("models:/%s/%s", name, version)
	return w.target.SetTags(ctx, parentID, []mlflow.Tag{{Key: "tunebus.registered", Value: w.result.Links[linkRegistered]}})
}

// findReused finds the logged model of a run that did not tune its model itself, but
// repeats later phases of the run that did.
func (w *mlflowWriter) findReused(ctx context.Context, run events.Run) error {
	tuned := run.Accepted.Lineage.RerunOf
	if w.model.id != "" || tuned == "" {
		return nil
	}
	if ref := run.Accepted.Inputs.Model; ref != nil {
		if owner, ok := artifact.RunOf(ref.Key); ok {
			tuned = owner // the repeated run may be a repeated one itself
		}
	}
	var err error
	w.model.id, w.model.run, err = w.target.FindModel(ctx, w.experiment, mlflow.Tag{Key: mlflow.TagRunID, Value: tuned}, modelName)
	return err
}

// notRegistered says why the model of a run is not registered; empty if it is to
// be. name is what is wrong with the name.
func notRegistered(run events.Run, model loggedModel, name error) string {
	var missed []string
	for _, g := range run.Completed.Gates {
		if !g.Met {
			missed = append(missed, g.Metric)
		}
	}
	switch {
	case len(missed) > 0:
		return "gates are missed: " + strings.Join(missed, ", ")
	case runsummary.OutcomeOf(run) != runsummary.Succeeded:
		return "the run did not succeed"
	case name != nil:
		return fmt.Sprintf("mlflow.register_as: %v", name)
	case model.id == "":
		return "mlflow.register_as: this run has no logged model: it tuned none and repeats no run of this experiment that did, or the server is older than MLflow 3"
	}
	return ""
}
