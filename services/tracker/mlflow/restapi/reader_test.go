package restapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// webReader reads runs from a server, without the client.
type webReader struct{ base string }

func (r webReader) get(t *testing.T, path string, query url.Values, answer any) {
	t.Helper()
	resp, err := http.Get(r.base + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s %v", path, resp.Status, text, err)
	}
	if raw, ok := answer.(*string); ok {
		*raw = string(text)
	} else if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

func (r webReader) Read(t *testing.T, _, runID string) mlflowtest.Stored {
	t.Helper()
	var answer struct {
		Run struct {
			Info struct {
				Name   string `json:"run_name"`
				Status string `json:"status"`
				Start  int64  `json:"start_time"`
				End    int64  `json:"end_time"`
			} `json:"info"`
			Data struct {
				Params, Tags, Metrics []wirePairAny
			} `json:"data"`
			Inputs struct {
				Datasets []wireInput `json:"dataset_inputs"`
			} `json:"inputs"`
		} `json:"run"`
	}
	r.get(t, "/api/2.0/mlflow/runs/get", url.Values{"run_id": {runID}}, &answer)
	run := answer.Run
	s := mlflowtest.Stored{
		Name: run.Info.Name, Status: run.Info.Status, Start: run.Info.Start, End: run.Info.End,
		Params: make(map[string]string), Tags: make(map[string]string), Metrics: make(map[string][]string),
	}
	for _, p := range run.Data.Params {
		s.Params[p.Key] = p.text()
	}
	for _, tag := range run.Data.Tags {
		s.Tags[tag.Key] = tag.text()
	}
	for _, m := range run.Data.Metrics {
		var history struct {
			Metrics []struct {
				wirePairAny
				Time int64 `json:"timestamp"`
				Step int64 `json:"step"`
			} `json:"metrics"`
		}
		r.get(t, "/api/2.0/mlflow/metrics/get-history", url.Values{"run_id": {runID}, "metric_key": {m.Key}}, &history)
		for _, p := range history.Metrics {
			s.Metrics[m.Key] = append(s.Metrics[m.Key], mlflowtest.PointLine(p.Time, p.text(), p.Step))
		}
		slices.Sort(s.Metrics[m.Key])
	}
	for _, in := range run.Inputs.Datasets {
		text := in.Dataset.Name + " " + in.Dataset.Digest
		for _, tag := range in.Tags {
			text += " " + tag.Value
		}
		s.Inputs = append(s.Inputs, text)
	}
	slices.Sort(s.Inputs)
	return s
}

func (r webReader) Artifact(t *testing.T, experimentID, runID, path string) string {
	t.Helper()
	var content string
	root := "/api/2.0/mlflow-artifacts/artifacts/" + experimentID + "/" + runID + "/artifacts"
	for part := range strings.SplitSeq(path, "/") {
		root += "/" + url.PathEscape(part)
	}
	r.get(t, root, nil, &content)
	return content
}

// wirePairAny is a pair whose value is a text or a number.
type wirePairAny struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func (p wirePairAny) text() string {
	var s string
	if json.Unmarshal(p.Value, &s) == nil {
		return s
	}
	return string(p.Value)
}

func (r webReader) Alias(t *testing.T, name, alias string) string {
	t.Helper()
	var answer struct {
		Version struct {
			Version string `json:"version"`
		} `json:"model_version"`
	}
	r.get(t, "/api/2.0/mlflow/registered-models/alias", url.Values{"name": {name}, "alias": {alias}}, &answer)
	return answer.Version.Version
}
