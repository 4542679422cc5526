package restapi

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// serverModel is a logged model of the server.
type serverModel struct {
	ID          string     `json:"model_id"`
	Experiment  string     `json:"experiment_id"`
	Name        string     `json:"name"`
	SourceRun   string     `json:"source_run_id"`
	ArtifactURI string     `json:"artifact_uri"`
	Status      string     `json:"status"`
	Tags        []wirePair `json:"tags"`
}

func (m *serverModel) wire() any { return map[string]any{"model": map[string]any{"info": m}} }

// registered is a registered model of the server.
type registered struct {
	versions []wireVersionOf
	aliases  map[string]string
}

type wireVersionOf struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Source  string `json:"source"`
	ModelID string `json:"model_id"`
	RunID   string `json:"run_id"`
}

// answerModels answers the calls about logged and registered models. known is
// false for any other call.
func (s *server) answerModels(method, call string, query url.Values, body []byte) (answer any, refused *refusal, known bool) {
	known = true
	id, isModel := strings.CutPrefix(call, "logged-models/")
	switch {
	case s.old: // than MLflow 3
		return nil, nil, false
	case method+" "+call == "POST logged-models/search":
		answer, refused = with(body, s.searchModels)
	case method+" "+call == "POST logged-models":
		answer, refused = with(body, s.createModel)
	case isModel && method == http.MethodGet:
		answer, refused = s.changeModel(id, "")
	case isModel && method == http.MethodPatch:
		answer, refused = with(body, func(b serverModel) (any, *refusal) { return s.changeModel(id, b.Status) })
	case method+" "+call == "POST runs/outputs":
		answer, refused = with(body, s.logOutputs)
	case method+" "+call == "POST registered-models/create":
		answer, refused = with(body, s.createRegistered)
	case method+" "+call == "GET registered-models/alias":
		answer, refused = s.byAlias(query.Get("name"), query.Get("alias"))
	case method+" "+call == "POST registered-models/alias":
		answer, refused = with(body, s.setAlias)
	case method+" "+call == "GET model-versions/search":
		answer, refused = s.searchVersions(query.Get("filter"))
	case method+" "+call == "POST model-versions/create":
		answer, refused = with(body, s.createVersion)
	default:
		known = false
	}
	return answer, refused, known
}

var sourceRunFilter = regexp.MustCompile(`^source_run_id = '([0-9a-f]+)'$`)

var tagFilter = regexp.MustCompile("^tags\\.`([^`]+)` = '([^']+)'$")

func (s *server) searchModels(b searchBody) (any, *refusal) {
	m := sourceRunFilter.FindStringSubmatch(b.Filter)
	byTag := tagFilter.FindStringSubmatch(b.Filter)
	if m == nil && byTag == nil {
		return nil, invalid("Invalid clause(s) in filter string: %s", b.Filter)
	}
	found := []any{}
	for _, one := range s.models {
		if m != nil && one.SourceRun == m[1] || byTag != nil && slices.Contains(one.Tags, wirePair{byTag[1], byTag[2]}) {
			found = append(found, map[string]any{"info": one})
		}
	}
	return map[string]any{"models": found}, nil
}

func (s *server) createModel(b serverModel) (any, *refusal) {
	if strings.ContainsAny(b.Name, `/:.%"'`) {
		return nil, invalid("Invalid model name %q", b.Name)
	}
	b.ID = fmt.Sprintf("m-%032x", len(s.models)+1)
	b.ArtifactURI = "mlflow-artifacts:/" + b.Experiment + "/models/" + b.ID + "/artifacts"
	b.Status = "LOGGED_MODEL_PENDING"
	s.models = append(s.models, &b)
	return b.wire(), nil
}

func (s *server) changeModel(id, status string) (any, *refusal) {
	for _, m := range s.models {
		if m.ID == id {
			if status != "" {
				m.Status = status
			}
			return m.wire(), nil
		}
	}
	return nil, missing("Logged model with ID '%s' not found.", id)
}

type outputsBody struct {
	Run    string `json:"run_id"`
	Models []struct {
		ID string `json:"model_id"`
	} `json:"models"`
}

func (s *server) logOutputs(b outputsBody) (any, *refusal) {
	run, refused := s.active(b.Run)
	if refused != nil {
		return nil, refused
	}
	for _, m := range b.Models {
		for _, old := range run.outputs {
			if old == m.ID {
				return nil, &refusal{http.StatusBadRequest, "BAD_REQUEST", "UNIQUE constraint failed"}
			}
		}
		run.outputs = append(run.outputs, m.ID)
	}
	return struct{}{}, nil
}

type nameBody struct {
	Name    string `json:"name"`
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

func (s *server) createRegistered(b nameBody) (any, *refusal) {
	if s.registry == nil {
		s.registry = map[string]*registered{}
	}
	if s.registry[b.Name] != nil {
		return nil, &refusal{http.StatusBadRequest, codeExists, "Registered Model already exists."}
	}
	s.registry[b.Name] = &registered{aliases: map[string]string{}}
	return struct{}{}, nil
}

func (s *server) byAlias(name, alias string) (any, *refusal) {
	r := s.registry[name]
	if r == nil || r.aliases[alias] == "" {
		return nil, invalid("Registered model alias %s not found.", alias)
	}
	return map[string]any{"model_version": map[string]string{"version": r.aliases[alias]}}, nil
}

func (s *server) setAlias(b nameBody) (any, *refusal) {
	s.registry[b.Name].aliases[b.Alias] = b.Version
	return struct{}{}, nil
}

var versionFilter = regexp.MustCompile(`^name='([^']*)' and run_id='([^']*)'$`)

func (s *server) searchVersions(filter string) (any, *refusal) {
	m := versionFilter.FindStringSubmatch(filter)
	if m == nil {
		return nil, invalid("Invalid clause(s) in filter string: %s", filter)
	}
	found := []wireVersionOf{}
	for _, v := range s.registry[m[1]].versions {
		if v.RunID == m[2] {
			found = append(found, v)
		}
	}
	return map[string]any{"model_versions": found}, nil
}

func (s *server) createVersion(b wireVersionOf) (any, *refusal) {
	r := s.registry[b.Name]
	if r == nil {
		return nil, missing("Registered Model with name=%s not found", b.Name)
	}
	if b.ModelID == "" || b.Source != "models:/"+b.ModelID {
		return nil, invalid("Unable to fetch model from model URI source artifact location '%s'.", b.Source)
	}
	if _, refused := s.changeModel(b.ModelID, ""); refused != nil {
		return nil, refused
	}
	b.Version = strconv.Itoa(len(r.versions) + 1)
	r.versions = append(r.versions, b)
	return map[string]any{"model_version": b}, nil
}
