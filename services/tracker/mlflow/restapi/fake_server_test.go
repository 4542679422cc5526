package restapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// server is a fake MLflow server in memory, with the calls of the REST API that
// the client uses. It tests the client on machines without MLflow. The
// conformance suite runs over it and over MLflow itself, so the two agree in all
// that the suite tests.
type server struct {
	mu          sync.Mutex
	experiments []*serverExperiment
	runs        []*serverRun
	artifacts   map[string]string // by <experiment>/<run>/artifacts/<path>
	requests    []string          // "<method> <call>" of every request, in order
	models      []*serverModel
	registry    map[string]*registered
	old         bool // without models, as before MLflow 3
}

type serverExperiment struct {
	ID    string `json:"experiment_id"`
	Name  string `json:"name"`
	Stage string `json:"lifecycle_stage"`
}

type serverRun struct {
	info    serverRunInfo
	params  map[string]string
	tags    map[string]string
	metrics map[string]map[serverPoint]bool
	inputs  []serverInput
	outputs []string // ids of models
}

type serverRunInfo struct {
	ID          string `json:"run_id"`
	Experiment  string `json:"experiment_id"`
	Name        string `json:"run_name"`
	Status      string `json:"status"`
	Start       int64  `json:"start_time"`
	End         int64  `json:"end_time,omitempty"`
	ArtifactURI string `json:"artifact_uri"`
	Stage       string `json:"lifecycle_stage"`
}

type serverPoint struct {
	value string
	time  int64
	step  int64
}

type serverInput struct {
	Tags    []wirePair  `json:"tags"`
	Dataset wireDataset `json:"dataset"`
}

// refusal is an error of the API.
type refusal struct {
	status        int
	code, message string
}

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, codeInvalid, fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) *refusal {
	return &refusal{http.StatusNotFound, codeMissing, fmt.Sprintf(format, args...)}
}

// startServer runs a fake server until the test ends.
func startServer(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{artifacts: make(map[string]string)}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow-artifacts/artifacts/"); ok {
		s.serveArtifact(w, r, rest)
		return
	}
	call, ok := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow/")
	if !ok {
		http.Error(w, "<html>not found</html>", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+call)
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
		err = fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, refused := s.answer(r, call, body)
	w.Header().Set("Content-Type", "application/json")
	if refused != nil {
		w.WriteHeader(refused.status)
		answer = map[string]string{"error_code": refused.code, "message": refused.message}
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may have closed the connection
}

func (s *server) answer(r *http.Request, call string, body []byte) (any, *refusal) {
	query := r.URL.Query()
	if answer, refused, known := s.answerModels(r.Method, call, query, body); known {
		return answer, refused
	}
	switch r.Method + " " + call {
	case "GET experiments/get-by-name":
		return s.experimentByName(query.Get("experiment_name"))
	case "POST experiments/create":
		return with(body, s.createExperiment)
	case "POST experiments/delete":
		return with(body, func(b experimentBody) (any, *refusal) { return s.stageExperiment(b.ID, "deleted") })
	case "POST experiments/restore":
		return with(body, func(b experimentBody) (any, *refusal) { return s.stageExperiment(b.ID, "active") })
	case "POST runs/create":
		return with(body, s.createRun)
	case "POST runs/search":
		return with(body, s.searchRuns)
	case "GET runs/get":
		run, refused := s.run(query.Get("run_id"))
		if refused != nil {
			return nil, refused
		}
		return map[string]any{"run": run.wire()}, nil
	case "POST runs/update":
		return with(body, s.updateRun)
	case "POST runs/delete":
		return with(body, s.deleteRun)
	case "POST runs/log-batch":
		return with(body, s.logBatch)
	case "POST runs/log-inputs":
		return with(body, s.logInputs)
	case "GET metrics/get-history":
		return s.history(query.Get("run_id"), query.Get("metric_key"))
	case "GET artifacts/list":
		return s.listArtifacts(query.Get("run_id"), query.Get("path"))
	default:
		return nil, &refusal{http.StatusNotFound, "ENDPOINT_NOT_FOUND", call}
	}
}

// with decodes the body of a request for do.
func with[T any](body []byte, do func(T) (any, *refusal)) (any, *refusal) {
	var request T
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, &refusal{http.StatusInternalServerError, "", err.Error()}
	}
	return do(request)
}

type experimentBody struct {
	ID   string `json:"experiment_id"`
	Name string `json:"name"`
}

func (s *server) experimentByName(name string) (any, *refusal) {
	for _, e := range s.experiments {
		if e.Name == name {
			return map[string]any{"experiment": e}, nil
		}
	}
	return nil, missing("Could not find experiment with name '%s'", name)
}

func (s *server) createExperiment(b experimentBody) (any, *refusal) {
	if b.Name == "" || len([]rune(b.Name)) > normalize.MaxExperiment {
		return nil, invalid("experiment name")
	}
	if _, refused := s.experimentByName(b.Name); refused == nil {
		return nil, &refusal{http.StatusBadRequest, codeExists, "Experiment already exists."}
	}
	e := &serverExperiment{strconv.Itoa(len(s.experiments) + 1), b.Name, "active"}
	s.experiments = append(s.experiments, e)
	return experimentBody{ID: e.ID}, nil
}

func (s *server) stageExperiment(id, stage string) (any, *refusal) {
	for _, e := range s.experiments {
		if e.ID == id && e.Stage != stage {
			e.Stage = stage
			return struct{}{}, nil
		}
	}
	return nil, missing("No Experiment with id=%s exists", id)
}

type createRunBody struct {
	Experiment string     `json:"experiment_id"`
	Name       string     `json:"run_name"`
	Start      int64      `json:"start_time"`
	Tags       []wirePair `json:"tags"`
}

func (s *server) createRun(b createRunBody) (any, *refusal) {
	if !slices.ContainsFunc(s.experiments, func(e *serverExperiment) bool { return e.ID == b.Experiment && e.Stage == "active" }) {
		return nil, missing("No Experiment with id=%s exists", b.Experiment)
	}
	run := &serverRun{
		info: serverRunInfo{
			// Ids of later runs sort before those of earlier ones, so that
			// no test passes because of their order.
			ID: fmt.Sprintf("%032x", 1<<20-len(s.runs)), Experiment: b.Experiment, Name: b.Name,
			Status: "RUNNING", Start: b.Start, Stage: "active",
		},
		params: make(map[string]string), tags: make(map[string]string),
		metrics: make(map[string]map[serverPoint]bool),
	}
	run.info.ArtifactURI = "mlflow-artifacts:/" + b.Experiment + "/" + run.info.ID + "/artifacts"
	for _, tag := range b.Tags {
		if tag.Key == mlflow.TagName && tag.Value != b.Name {
			return nil, invalid("Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values")
		}
		run.tags[tag.Key] = tag.Value
	}
	s.runs = append(s.runs, run)
	return map[string]any{"run": run.wire()}, nil
}

func (r *serverRun) wire() any {
	pairs := func(m map[string]string) []wirePair {
		var out []wirePair
		for key, value := range m {
			out = append(out, wirePair{key, value})
		}
		return out
	}
	outputs := []map[string]any{}
	for _, id := range r.outputs {
		outputs = append(outputs, map[string]any{"model_id": id, "step": 0})
	}
	metrics := []map[string]any{}
	for key := range r.metrics {
		metrics = append(metrics, map[string]any{"key": key})
	}
	return map[string]any{
		"info":    r.info,
		"data":    map[string]any{"params": pairs(r.params), "tags": pairs(r.tags), "metrics": metrics},
		"inputs":  map[string]any{"dataset_inputs": r.inputs},
		"outputs": map[string]any{"model_outputs": outputs},
	}
}

func (s *server) run(id string) (*serverRun, *refusal) {
	for _, run := range s.runs {
		if run.info.ID == id {
			return run, nil
		}
	}
	return nil, missing("Run with id=%s not found", id)
}

// active is run for a call that writes.
func (s *server) active(id string) (*serverRun, *refusal) {
	run, refused := s.run(id)
	if refused == nil && run.info.Stage != "active" {
		refused = invalid("The run %s must be in the 'active' state.", id)
	}
	return run, refused
}

var filterClause = regexp.MustCompile("^tags\\.`([^`]+)` = (?:'([^']*)'|\"([^\"]*)\")$")

type searchBody struct {
	Experiments []string `json:"experiment_ids"`
	Filter      string   `json:"filter"`
}

func (s *server) searchRuns(b searchBody) (any, *refusal) {
	found := []any{}
	for _, run := range s.runs {
		if run.info.Stage != "active" || !slices.Contains(b.Experiments, run.info.Experiment) {
			continue
		}
		matches := true
		for clause := range strings.SplitSeq(b.Filter, " AND ") {
			m := filterClause.FindStringSubmatch(clause)
			if m == nil {
				return nil, invalid("Invalid clause(s) in filter string: %s", clause)
			}
			value, ok := run.tags[m[1]]
			matches = matches && ok && value == m[2]+m[3]
		}
		if matches {
			found = append(found, run.wire())
		}
	}
	return map[string]any{"runs": found}, nil
}

func (s *server) serveArtifact(w http.ResponseWriter, r *http.Request, name string) {
	content, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil || strings.ContainsAny(name, "#") || path.Clean(name) != name:
		http.Error(w, `{"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid path"}`, http.StatusBadRequest)
	case r.Method == http.MethodPut:
		s.artifacts[name] = string(content)
		_, _ = io.WriteString(w, "{}")
	case r.Method == http.MethodGet:
		_, _ = io.WriteString(w, s.artifacts[name])
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
