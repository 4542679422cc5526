package mlflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stored is a run as a target keeps it.
type stored struct {
	Name       string
	Status     string
	Start, End int64
	Params     map[string]string
	Tags       map[string]string
	Metrics    map[string][]string // "<ms> <value> <step>", sorted
	Inputs     []string            // "<name> <digest> <context>", sorted
}

// reader looks at what a target wrote, past the target.
type reader interface {
	read(t *testing.T, experimentID, runID string) stored
	artifact(t *testing.T, experimentID, runID, path string) string
}

// webReader asks a server.
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

func (r webReader) read(t *testing.T, _, runID string) stored {
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
	s := stored{
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
			s.Metrics[m.Key] = append(s.Metrics[m.Key], line(p.Time, p.text(), p.Step))
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

func (r webReader) artifact(t *testing.T, experimentID, runID, path string) string {
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

// line is a metric point in one spelling for all stores, of which some hold
// infinities as the largest number.
func line(ms int64, value string, step int64) string {
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		switch p := pointOf(Metric{Value: v}); {
		case p.nan:
			value = "nan"
		default:
			value = fmt.Sprint(p.value)
		}
	}
	return fmt.Sprintf("%d %s %d", ms, value, step)
}

// sameLine is line for a text "<ms> <value> <step>"; one that is not such a
// text stays as it is, and equals nothing.
func sameLine(text string) string {
	var ms, step int64
	var value string
	if _, err := fmt.Sscanf(strings.TrimSuffix(text, "\n"), "%d %s %d", &ms, &value, &step); err != nil {
		return text
	}
	return line(ms, value, step)
}

// folderReader reads MLflow's file layout.
type folderReader struct{ root string }

func (r folderReader) read(t *testing.T, experimentID, runID string) stored {
	t.Helper()
	dir := filepath.Join(r.root, experimentID, runID)
	meta := readFile(t, filepath.Join(dir, "meta.yaml"))
	number := func(key string) int64 {
		n, err := strconv.ParseInt(scalar(meta, key), 10, 64)
		if err != nil && scalar(meta, key) != "null" {
			t.Fatalf("%s: %v", key, err)
		}
		return n
	}
	s := stored{
		Name:   scalar(meta, "run_name"),
		Status: []string{1: "RUNNING", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}[number("status")],
		Start:  number("start_time"), End: number("end_time"),
		Params: readKeys(t, filepath.Join(dir, "params")), Tags: readKeys(t, filepath.Join(dir, "tags")),
		Metrics: make(map[string][]string),
	}
	for key, text := range readKeys(t, filepath.Join(dir, "metrics")) {
		for l := range strings.Lines(text) {
			s.Metrics[key] = append(s.Metrics[key], sameLine(l))
		}
		slices.Sort(s.Metrics[key])
	}
	for name, link := range readKeys(t, filepath.Join(dir, "inputs")) {
		dataset := readFile(t, filepath.Join(r.root, experimentID, "datasets", scalar(link, "source_id"), "meta.yaml"))
		text := scalar(dataset, "name") + " " + scalar(dataset, "digest")
		if _, value, ok := strings.Cut(scalar(link, "tags"), "mlflow.data.context: "); ok {
			text += " " + strings.Trim(value, `"}`)
		}
		if !strings.HasSuffix(name, "/meta.yaml") {
			t.Errorf("input %s: not a meta file", name)
		}
		s.Inputs = append(s.Inputs, text)
	}
	slices.Sort(s.Inputs)
	return s
}

func (r folderReader) artifact(t *testing.T, experimentID, runID, path string) string {
	t.Helper()
	return readFile(t, filepath.Join(r.root, experimentID, runID, "artifacts", path))
}

// readKeys reads every file below dir, by its path there.
func readKeys(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
