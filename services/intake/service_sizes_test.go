package intake_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// rejection waits for the rejection of a request, and returns it with the size of
// its message.
func (f *fixture) rejection(t *testing.T, request uint64) (events.PipelineRejected, int) {
	t.Helper()
	f.faults(t, request)
	subject := events.PipelineRejected{RequestSequence: request}.Subject()
	m, err := history.New(f.bus).Latest(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := f.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stream.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return m.Event.(events.PipelineRejected), len(raw.Data)
}

func repeated[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// TestLargeRequests: a request whose run would have too large events is rejected
// at once, whoever published it, and intake goes on with the next one.
func TestLargeRequests(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	spec := func(section string, kv ...any) json.RawMessage {
		keys := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			keys[kv[i].(string)] = kv[i+1]
		}
		return specification(t, map[string]map[string]any{section: keys})
	}
	plain := spec("fine_tuner")
	gates := map[string]any{}
	for i := range 500 {
		gates[fmt.Sprint("g", i)] = 0.5
	}
	many := map[string]string{}
	for i := range 2000 {
		many[fmt.Sprint("label", i)] = "a value of the label"
	}
	ref := events.Reference{Store: store, Key: strings.Repeat("k", 300), SHA256: strings.Repeat("a", 64)}
	files := map[string]events.Reference{"fine_tuner.training_data_id": {Store: store, Key: strings.Repeat("k", 9000), SHA256: ref.SHA256}}
	for i := range 20 {
		files[fmt.Sprint("file", i)] = ref
	}
	for _, c := range []struct {
		name string
		req  map[string]any
		key  string
		want []string // parts of the first fault's message
	}{
		{
			"metrics that exist", map[string]any{"specification": spec("evaluator", "metrics", repeated("rouge_score", 5000))},
			"evaluator.metrics", []string{"takes 70,001 bytes", "at most 32,768"},
		},
		{
			"metrics that do not exist", map[string]any{"specification": spec("evaluator", "metrics", repeated("no_such_metric", 5000))},
			"evaluator.metrics", []string{"takes 85,001 bytes", "at most 32,768"},
		},
		{
			"label", map[string]any{"specification": plain, "labels": map[string]string{"team": strings.Repeat("<", 175_000)}},
			"labels.team", []string{"takes 1,050,006 bytes", "at most 32,768"},
		},
		{
			"smaller label", map[string]any{"specification": plain, "labels": map[string]string{"team": strings.Repeat("<", 200)}},
			"labels.team", []string{"takes 1,200 bytes", "at most 1,024"},
		},
		{
			"name of a label", map[string]any{"specification": plain, "labels": map[string]string{strings.Repeat("t", 300): "x"}},
			events.Cut("labels."+strings.Repeat("t", 300), events.MaxNameBytes), []string{"takes 300 bytes", "at most 200"},
		},
		{
			"labels", map[string]any{"specification": plain, "labels": many},
			"labels", []string{"together take", "at most 32,768"},
		},
		{
			"run id", map[string]any{"specification": plain, "run_id": strings.Repeat("r", 600_000)},
			"run_id", []string{"takes 600,000 bytes", "at most 64"},
		},
		{
			"name", map[string]any{"specification": plain, "run_name": strings.Repeat("n", 300)},
			"run_name", []string{"takes 300 bytes", "at most 200"},
		},
		{
			"name with its prefix", map[string]any{"specification": spec("mlflow", "run_name", strings.Repeat("n", 150), "run_name_prefix", strings.Repeat("p", 60))},
			"run_name", []string{"takes 210 bytes", "at most 200"},
		},
		{
			"long text", map[string]any{"specification": spec("evaluator", "hf_user_id", strings.Repeat("h", 1_044_000))},
			"evaluator.hf_user_id", []string{"takes 1,044,002 bytes", "at most 32,768"},
		},
		{
			"longer text", map[string]any{"specification": spec("evaluator", "hf_user_id", strings.Repeat("h", 1_044_600))},
			"evaluator.hf_user_id", []string{"takes 1,044,602 bytes", "at most 32,768"},
		},
		{
			"gates", map[string]any{"specification": spec("evaluator", "gates", gates)},
			"evaluator.gates", []string{"has 500 entries", "at most 100"},
		},
		{
			"inputs", map[string]any{"specification": plain, "inputs": events.Inputs{Files: files}},
			"inputs.files.fine_tuner.training_data_id", []string{"the inputs together take", "at most 12,288"},
		},
		{
			"queue", map[string]any{"specification": spec("evaluator", "queue", strings.Repeat("q", 20_000)), "queues": map[string]string{"inference": strings.Repeat("q", 21_000)}},
			"inferencer.queue", []string{"takes 21,002 bytes", "together take 63,974", "at most 32,768"},
		},
		{
			"unknown keys", map[string]any{"specification": plain, strings.Repeat("x", 500_000): 1, strings.Repeat("y", 400_000): strings.Repeat("<", 50_000)},
			events.Cut(strings.Repeat("x", 300), events.MaxNameBytes), []string{"unknown key"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := marshal(c.req)
			if err != nil {
				t.Fatal(err)
			}
			rejected, size := f.rejection(t, f.publishRaw(t, body))
			if first := rejected.Faults[0]; first.Key != c.key {
				t.Errorf("the first fault is about %s, want %s", first.Key, c.key)
			}
			for _, want := range c.want {
				if first := rejected.Faults[0]; !strings.Contains(first.Message, want) {
					t.Errorf("the first fault says %q, want %q in it", first.Message, want)
				}
			}
			if size > events.MaxEventBytes {
				t.Errorf("the rejection takes %d bytes", size)
			}
		})
	}
	f.publishRaw(t, plainJSON)
	f.accepted(t, "bare")
	if f.log.longestLine() > 4000 {
		t.Errorf("a line of the log has %d bytes", f.log.longestLine())
	}
}

// marshal writes JSON without escapes, so that a request that has 175,000 times
// "<" fits the server.
func marshal(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.String(), err
}

// TestLongRejection: a rejection that would be too long is cut, and says how many
// faults are left out.
func TestLongRejection(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	raw := specification(t, map[string]map[string]any{"evaluator": {"metrics": repeated("no_such_metric", 5000)}})
	rejected, _ := f.rejection(t, f.publishRaw(t, fmt.Sprintf(`{"specification": %s}`, raw)))
	n := len(rejected.Faults)
	if last := rejected.Faults[n-1]; n != events.MaxFaults || last.Message != "… and 4,902 more faults" {
		t.Errorf("%d faults, the last is %+v", n, last)
	}
}

// TestLargestRun: a request that only just fits is accepted, and so is its job.
func TestLargestRun(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	text := func(n int) json.RawMessage {
		return specification(t, map[string]map[string]any{"evaluator": {"hf_user_id": strings.Repeat("h", n)}})
	}
	// The faults say how much is too much.
	rejected, _ := f.rejection(t, f.request(t, events.PipelineRequested{RunID: "over", Specification: text(40_000)}))
	var size, total, limit int
	message := strings.ReplaceAll(rejected.Faults[0].Message, ",", "")
	if _, err := fmt.Sscanf(message, "takes %d bytes as JSON; specification labels run name and plan together take %d at most %d are allowed", &size, &total, &limit); err != nil {
		t.Fatalf("%q: %v", message, err)
	}
	fits := 40_000 - (total - limit)
	f.request(t, events.PipelineRequested{RunID: "fits", Specification: text(fits)})
	f.accepted(t, "fits")
	rejected, _ = f.rejection(t, f.request(t, events.PipelineRequested{RunID: "over", Specification: text(fits + 1)}))
	if len(rejected.Faults) != 1 || rejected.Faults[0].Key != "evaluator.hf_user_id" {
		t.Errorf("faults %+v", rejected.Faults)
	}
}

// TestLargeRerun: the merged specification and labels of a rerun count.
func TestLargeRerun(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	half := func(section, key string) json.RawMessage {
		return specification(t, map[string]map[string]any{section: {key: strings.Repeat("h", 17_000)}})
	}
	f.request(t, events.PipelineRequested{RunID: "old", Specification: half("evaluator", "hf_user_id")})
	f.accepted(t, "old")
	raw := json.RawMessage(`{"inferencer": {"hf_user_id": "` + strings.Repeat("i", 18_000) + `"}}`)
	rejected, _ := f.rejection(t, f.request(t, events.PipelineRequested{RunID: "new", RerunOf: "old", From: events.Finetune, Specification: raw}))
	if first := rejected.Faults[0]; len(rejected.Faults) != 1 || first.Key != "inferencer.hf_user_id" || !strings.Contains(first.Message, "at most 32,768") {
		t.Errorf("faults %+v", rejected.Faults)
	}
	f.request(t, events.PipelineRequested{RunID: "small", RerunOf: "old", From: events.Finetune, Specification: json.RawMessage(`{}`)})
	f.accepted(t, "small")
}

// TestRequestOfJunk: a body of the size that the server just takes, which is no
// request, is rejected and becomes a dead letter.
func TestRequestOfJunk(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	for _, body := range []string{
		strings.Repeat("x", 1_044_600),
		`{"run_id": "` + strings.Repeat("r", 1_000_000),
		`{"run_id": ` + strings.Repeat("[", 1_000_000),
	} {
		rejected, size := f.rejection(t, f.publishRaw(t, body))
		if len(rejected.Faults) != 1 || rejected.Faults[0].Key != "request" || size > events.MaxEventBytes {
			t.Errorf("%.20s: %d bytes, %.300v", body, size, rejected)
		}
	}
	large := nats.NewMsg(events.TypePipelineRequested)
	large.Data = []byte("x")
	large.Header.Set("Anything", strings.Repeat("h", 30_000))
	large.Header.Set("Nats-Msg-Id", strings.Repeat("i", 35_400)) // the server takes 64 KiB of headers
	ack, err := f.js.PublishMsg(t.Context(), large)
	if err != nil {
		t.Fatal(err)
	}
	f.rejection(t, ack.Sequence)
	eventually(t, "the dead letters", func() bool {
		s, err := f.js.Stream(t.Context(), events.StreamDead)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(events.DeadLetterFilter()))
		return err == nil && len(info.State.Subjects) == 4
	})
	f.publishRaw(t, plainJSON)
	f.accepted(t, "bare")
}

// TestMemoryOfALargeRequest: a request of a megabyte with a list of faults does not
// take hundreds of megabytes. It is not parallel, because it measures the process.
func TestMemoryOfALargeRequest(t *testing.T) {
	f := open(t, intake.Config{}, topology.Topology{})
	for _, entry := range []string{`"a",`, `"${",`} {
		list := strings.TrimSuffix(strings.Repeat(entry, 1_040_000/len(entry)), ",")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f.rejection(t, f.publishRaw(t, `{"specification": {"evaluator": {"metrics": [`+list+`]}}}`))
		runtime.ReadMemStats(&after)
		mib := (after.TotalAlloc - before.TotalAlloc) >> 20
		if mib > 200 {
			t.Errorf("%s: %d MiB were allocated", entry, mib)
		}
	}
}
