package restapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// models implements mlflow.Models.
type models struct{ api *client }

// wireModel is a logged model in responses.
type wireModel struct {
	Info struct {
		ID          string `json:"model_id"`
		Name        string `json:"name"`
		SourceRun   string `json:"source_run_id"`
		ArtifactURI string `json:"artifact_uri"`
		Status      string `json:"status"`
	} `json:"info"`
}

const modelReady = "LOGGED_MODEL_READY"

// EnsureModel searches before each try to create, because the try before may
// have succeeded without a response.
func (m models) EnsureModel(ctx context.Context, experimentID, runID string, model mlflow.LoggedModel) (string, bool, error) {
	var found wireModel
	err := m.api.retry(ctx, func() error {
		var err error
		if found, err = m.find(ctx, experimentID, runID, model.Name); found.Info.ID != "" || err != nil {
			return err
		}
		return m.create(ctx, experimentID, runID, model, &found)
	})
	if err == nil {
		err = m.linkToRun(ctx, runID, found.Info.ID)
	}
	if api, ok := errors.AsType[*APIError](err); ok && api.Status == http.StatusNotFound && !hasCode(err, codeMissing) {
		err = mlflow.ErrNoModels
	}
	if err != nil {
		return "", false, fmt.Errorf("create model %q of run %s: %w", model.Name, runID, err)
	}
	return found.Info.ID, found.Info.Status == modelReady, nil
}

// find finds the model of a run by its name; without one the id is empty.
func (m models) find(ctx context.Context, experimentID, runID, name string) (wireModel, error) {
	return m.search(ctx, experimentID, "source_run_id = '"+runID+"'", func(one wireModel) bool {
		return one.Info.SourceRun == runID && one.Info.Name == name
	})
}

// FindModel implements [mlflow.Models].
func (m models) FindModel(ctx context.Context, experimentID string, tag mlflow.Tag, name string) (id, runID string, err error) {
	value, err := quoteFilter(tag.Value)
	if err != nil {
		return "", "", err
	}
	var found wireModel
	err = m.api.retry(ctx, func() error {
		found, err = m.search(ctx, experimentID, "tags.`"+normalize.Name(tag.Key)+"` = "+value, func(one wireModel) bool {
			return one.Info.Name == name && one.Info.Status == modelReady
		})
		return err
	})
	if api, ok := errors.AsType[*APIError](err); ok && api.Status == http.StatusNotFound {
		return "", "", nil // an older server
	}
	if err != nil {
		return "", "", fmt.Errorf("find model %q with the tag %s = %q: %w", name, tag.Key, tag.Value, err)
	}
	return found.Info.ID, found.Info.SourceRun, nil
}

// search returns the first model that a filter of the server and matches let pass.
func (m models) search(ctx context.Context, experimentID, filter string, matches func(wireModel) bool) (wireModel, error) {
	body := struct {
		Experiments []string `json:"experiment_ids"`
		Filter      string   `json:"filter"`
		Token       string   `json:"page_token,omitempty"`
	}{Experiments: []string{experimentID}, Filter: filter}
	for {
		var page struct {
			Models []wireModel `json:"models"`
			Next   string      `json:"next_page_token"`
		}
		if err := m.api.postOnce(ctx, "logged-models/search", body, &page); err != nil {
			return wireModel{}, err
		}
		for _, one := range page.Models {
			if matches(one) {
				return one, nil
			}
		}
		if page.Next == "" {
			return wireModel{}, nil
		}
		body.Token = page.Next
	}
}

func (m models) create(ctx context.Context, experimentID, runID string, model mlflow.LoggedModel, created *wireModel) error {
	body := struct {
		Experiment string     `json:"experiment_id"`
		Name       string     `json:"name"`
		Run        string     `json:"source_run_id"`
		Tags       []wirePair `json:"tags"`
	}{Experiment: experimentID, Name: model.Name, Run: runID, Tags: wireTags(model.Tags)}
	var reply struct {
		Model wireModel `json:"model"`
	}
	err := m.api.postOnce(ctx, "logged-models", body, &reply)
	*created = reply.Model
	return err
}

func wireTags(tags []mlflow.Tag) []wirePair {
	out := []wirePair{}
	for _, t := range tags {
		out = append(out, wirePair{normalize.Name(t.Key), normalize.Text(t.Value, normalize.MaxTag)})
	}
	return out
}

// linkToRun makes a model an output of its run. The server refuses a second
// link.
func (m models) linkToRun(ctx context.Context, runID, modelID string) error {
	run, err := m.api.getRun(ctx, runID)
	if err != nil {
		return err
	}
	for _, out := range run.Outputs.Models {
		if out.ID == modelID {
			return nil
		}
	}
	type output struct {
		ID   string `json:"model_id"`
		Step int64  `json:"step"`
	}
	return m.api.post(ctx, "runs/outputs", struct {
		Run    string   `json:"run_id"`
		Models []output `json:"models"`
	}{runID, []output{{ID: modelID}}}, nil)
}

func (m models) PutModelFile(ctx context.Context, modelID string, a mlflow.Artifact) error {
	var reply struct {
		Model wireModel `json:"model"`
	}
	err := m.api.get(ctx, "logged-models/"+url.PathEscape(modelID), nil, &reply)
	if err == nil {
		err = m.api.put(ctx, reply.Model.Info.ArtifactURI, a)
	}
	if err != nil {
		return fmt.Errorf("put file %s of model %s: %w", a.Path, modelID, err)
	}
	return nil
}

// ShowsModels implements [mlflow.Models]: MLflow 3 looks for an artifact of a run
// among the models that the run made, too.
func (m models) ShowsModels() bool { return true }

func (m models) FinishModel(ctx context.Context, modelID string) error {
	body := struct {
		ID     string `json:"model_id"`
		Status string `json:"status"`
	}{modelID, modelReady}
	err := m.api.retry(ctx, func() error {
		return m.api.call(ctx, http.MethodPatch, "logged-models/"+url.PathEscape(modelID), nil, body, nil)
	})
	if err != nil {
		return fmt.Errorf("finish model %s: %w", modelID, err)
	}
	return nil
}

// wireVersion is a version of a registered model in responses.
type wireVersion struct {
	Version string `json:"version"`
	ModelID string `json:"model_id"`
	Source  string `json:"source"`
}

// Register implements [mlflow.Models].
func (m models) Register(ctx context.Context, r mlflow.Registration) (version string, err error) {
	version, err = m.register(ctx, r)
	if err != nil {
		return "", fmt.Errorf("register model %s as %q: %w", r.ModelID, r.Name, err)
	}
	return version, nil
}

func (m models) register(ctx context.Context, r mlflow.Registration) (string, error) {
	err := m.api.post(ctx, "registered-models/create", struct {
		Name string `json:"name"`
	}{r.Name}, nil)
	if err != nil && !hasCode(err, codeExists) {
		return "", err
	}
	source := "models:/" + r.ModelID
	version := ""
	err = m.api.retry(ctx, func() error {
		known, err := m.versions(ctx, r)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(known, func(v wireVersion) bool { return v.ModelID == r.ModelID || v.Source == source }); i >= 0 {
			version = known[i].Version
			return nil
		}
		var reply struct {
			Version wireVersion `json:"model_version"`
		}
		err = m.api.postOnce(ctx, "model-versions/create", struct {
			Name    string     `json:"name"`
			Source  string     `json:"source"`
			ModelID string     `json:"model_id"`
			RunID   string     `json:"run_id"`
			Tags    []wirePair `json:"tags"`
		}{r.Name, source, r.ModelID, r.RunID, wireTags(r.Tags)}, &reply)
		version = reply.Version.Version
		return err
	})
	if err != nil {
		return "", err
	}
	return version, m.setAlias(ctx, r, version)
}

// versions are the versions of a registered model that a run made.
func (m models) versions(ctx context.Context, r mlflow.Registration) ([]wireVersion, error) {
	name, err := quoteFilter(r.Name)
	if err != nil {
		return nil, err
	}
	var found struct {
		Versions []wireVersion `json:"model_versions"`
	}
	err = m.api.call(ctx, http.MethodGet, "model-versions/search", url.Values{"filter": {"name=" + name + " and run_id='" + r.RunID + "'"}}, nil, &found)
	return found.Versions, err
}

// setAlias moves the alias forward to a version, never back.
func (m models) setAlias(ctx context.Context, r mlflow.Registration, version string) error {
	var found struct {
		Version wireVersion `json:"model_version"`
	}
	query := url.Values{"name": {r.Name}, "alias": {r.Alias}}
	err := m.api.get(ctx, "registered-models/alias", query, &found)
	if err != nil && !hasCode(err, codeMissing) && !hasCode(err, codeInvalid) { // a server says either of an alias that is not there
		return err
	}
	if err == nil && !mlflow.IsNewer(version, found.Version.Version) {
		return nil
	}
	return m.api.post(ctx, "registered-models/alias", struct {
		Name    string `json:"name"`
		Alias   string `json:"alias"`
		Version string `json:"version"`
	}{r.Name, r.Alias, version}, nil)
}
