package restapi

import (
	"encoding/json"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// The calls of the server that change runs.

type updateRunBody struct {
	ID     string `json:"run_id"`
	Status string `json:"status"`
	End    int64  `json:"end_time"`
}

func (s *server) updateRun(b updateRunBody) (any, *refusal) {
	run, refused := s.active(b.ID)
	if refused != nil {
		return nil, refused
	}
	run.info.Status, run.info.End = b.Status, b.End
	return map[string]any{"run_info": run.info}, nil
}

func (s *server) deleteRun(b runIDBody) (any, *refusal) {
	run, refused := s.run(b.ID)
	if refused != nil {
		return nil, refused
	}
	run.info.Stage = "deleted"
	return struct{}{}, nil
}

var serverName = regexp.MustCompile(`^[/\w.\- :]+$`)

func checkServerName(name string) *refusal {
	if !serverName.MatchString(name) || len(name) > normalize.MaxKey ||
		path.Clean(name) != name || path.IsAbs(name) || name == "." || strings.HasPrefix(name, "..") {
		return invalid("Invalid name %q", name)
	}
	return nil
}

type batchBody struct {
	ID      string `json:"run_id"`
	Metrics []struct {
		Key       string          `json:"key"`
		Value     json.RawMessage `json:"value"`
		Timestamp *int64          `json:"timestamp"`
		Step      int64           `json:"step"`
	} `json:"metrics"`
	Params []wirePair `json:"params"`
	Tags   []wirePair `json:"tags"`
}

// validated is active for the calls that check the form of the id first.
func (s *server) validated(id string) (*serverRun, *refusal) {
	if !isRunID(id) {
		return nil, invalid("Invalid value %q for parameter 'run_id' supplied", id)
	}
	return s.active(id)
}

// logBatch stores the whole batch or nothing.
func (s *server) logBatch(b batchBody) (any, *refusal) {
	run, refused := s.validated(b.ID)
	if refused != nil {
		return nil, refused
	}
	if len(b.Metrics) > batchMetrics || len(b.Params) > batchParams || len(b.Tags) > batchTags {
		return nil, invalid("A batch logging request can contain at most …")
	}
	seen := make(map[string]bool)
	for _, p := range b.Params {
		old, again := run.params[p.Key]
		if again && old != p.Value || seen[p.Key] {
			return nil, invalid("Changing param values is not allowed. Param with key=%q", p.Key)
		}
		seen[p.Key] = true
		refused = cmpRefusal(refused, checkServerName(p.Key))
	}
	for _, tag := range b.Tags {
		refused = cmpRefusal(refused, checkServerName(tag.Key))
	}
	for _, m := range b.Metrics {
		refused = cmpRefusal(refused, checkServerName(m.Key))
		if m.Timestamp == nil || *m.Timestamp < 0 {
			refused = cmpRefusal(refused, invalid("timestamp of %q", m.Key))
		}
	}
	if refused != nil {
		return nil, refused
	}
	for _, p := range b.Params {
		run.params[p.Key] = normalize.Cut(p.Value, normalize.MaxParam)
	}
	for _, tag := range b.Tags {
		run.tags[tag.Key] = normalize.Cut(tag.Value, normalize.MaxTag)
	}
	for _, m := range b.Metrics {
		if run.metrics[m.Key] == nil {
			run.metrics[m.Key] = make(map[serverPoint]bool)
		}
		run.metrics[m.Key][serverPoint{storedValue(m.Value), *m.Timestamp, m.Step}] = true
	}
	return struct{}{}, nil
}

func cmpRefusal(first, second *refusal) *refusal {
	if first != nil {
		return first
	}
	return second
}

// storedValue is the JSON of a value as the database stores it.
func storedValue(raw json.RawMessage) string {
	switch string(raw) {
	case `"NaN"`:
		return string(raw)
	case `"Infinity"`:
		return strconv.FormatFloat(math.MaxFloat64, 'g', -1, 64)
	case `"-Infinity"`:
		return strconv.FormatFloat(-math.MaxFloat64, 'g', -1, 64)
	default:
		return string(raw)
	}
}

func (s *server) history(id, key string) (any, *refusal) {
	run, refused := s.run(id)
	if refused != nil {
		return nil, refused
	}
	metrics := []map[string]any{}
	for p := range run.metrics[key] {
		metrics = append(metrics, map[string]any{"key": key, "value": json.RawMessage(p.value), "timestamp": p.time, "step": p.step})
	}
	return map[string]any{"metrics": metrics}, nil
}

type inputsBody struct {
	ID       string        `json:"run_id"`
	Datasets []serverInput `json:"datasets"`
}

func (s *server) logInputs(b inputsBody) (any, *refusal) {
	run, refused := s.validated(b.ID)
	if refused != nil {
		return nil, refused
	}
	for _, in := range b.Datasets {
		if in.Dataset.Name == "" || in.Dataset.Digest == "" || len(in.Dataset.Digest) > normalize.MaxDigest {
			return nil, invalid("dataset %q", in.Dataset.Name)
		}
		if !slices.ContainsFunc(run.inputs, func(old serverInput) bool {
			return old.Dataset.Name == in.Dataset.Name && old.Dataset.Digest == in.Dataset.Digest
		}) {
			run.inputs = append(run.inputs, in)
		}
	}
	return struct{}{}, nil
}

func (s *server) listArtifacts(id, dir string) (any, *refusal) {
	run, refused := s.run(id)
	if refused != nil {
		return nil, refused
	}
	top := run.info.Experiment + "/" + id + "/artifacts/"
	prefix := top
	if dir != "" {
		prefix += dir + "/"
	}
	files := []map[string]any{}
	seen := make(map[string]bool)
	for name, content := range s.artifacts {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		first, _, isDir := strings.Cut(rest, "/")
		if seen[first] {
			continue
		}
		seen[first] = true
		file := map[string]any{"path": strings.TrimPrefix(prefix+first, top), "is_dir": isDir}
		if !isDir {
			file["file_size"] = len(content)
		}
		files = append(files, file)
	}
	return map[string]any{"files": files}, nil
}
