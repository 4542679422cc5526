package intake_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/intake/request"
)

// publishRaw publishes a body as any NATS client would, and returns the sequence.
func (f *fixture) publishRaw(t *testing.T, body string) uint64 {
	t.Helper()
	ack, err := f.js.Publish(t.Context(), events.TypePipelineRequested, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

const plainJSON = `{"run_id": "bare", "labels": {"team": "x"}, "specification": {
  "fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
  "inferencer": {"testing_data_id": "owner/data"}, "mlflow": {"run_name_prefix": "a-", "run_name": "n", "run_name_suffix": "-z"}}}`

// TestAdmission: a request may be a CloudEvent or only its data.
func TestAdmission(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	f.publishRaw(t, plainJSON)
	run := f.accepted(t, "bare")
	if a := run.Accepted; a.RunName != "a-n-z" || a.Labels["team"] != "x" || len(a.Plan) != 3 || a.RequestedAt.IsZero() {
		t.Errorf("accepted: %+v", a)
	}
	f.publishRaw(t, fmt.Sprintf(`{"specversion": "1.0", "id": "1", "source": "curl", "type": "pipeline.requested", "datacontenttype": "application/json", "data": %s}`,
		strings.Replace(plainJSON, `"bare"`, `"event"`, 1)))
	f.accepted(t, "event")
	f.request(t, events.PipelineRequested{RunID: "sdk", Queues: map[events.Phase]string{events.Inference: "openai"}})
	if q := f.accepted(t, "sdk").Accepted.Plan[1].Queue; q != "openai" {
		t.Errorf("the queue is %s", q)
	}
}

// TestRedeliveredRequest: a request that is delivered again leads to the same
// run, and to the first job if the first handler died before it published it.
func TestRedeliveredRequest(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	d := delivery.Delivery{Message: codec.Message{
		Event:   events.PipelineRequested{Specification: specification(t, nil)},
		Subject: events.TypePipelineRequested, Stream: events.StreamRequests, Sequence: 7, Time: time.Now().UTC(), ID: "x",
	}}
	id := request.RunID(d.Stream, d.Sequence, d.Time)
	for range 3 {
		if err := f.handle(t, "intake/requests", d); err != nil {
			t.Fatal(err)
		}
	}
	run := f.accepted(t, id)
	if ids, err := runlister.New(f.bus).Accepted(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("runs %v, %v", ids, err)
	}
	if run.Accepted.Lineage.RequestSequence != 7 || run.Accepted.RunName == "" {
		t.Errorf("accepted: %+v", run.Accepted)
	}
	d.Sequence++
	if request.RunID(d.Stream, d.Sequence, d.Time) == id {
		t.Error("another request has the same id")
	}
}

// TestRejectedRequestAgain: a request that was rejected stays so, when it is delivered again
// by a consumer that was made anew, and what was wrong with it is mended.
func TestRejectedRequestAgain(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	later := topology.Topology{Queues: map[events.Phase][]string{events.Inference: {"later"}}}
	rejected := f.request(t, events.PipelineRequested{RunID: "early", Queues: map[events.Phase]string{events.Inference: "later"}})
	f.faults(t, rejected)
	if err := f.js.DeleteConsumer(t.Context(), events.StreamRequests, topology.ConsumerIntake); err != nil {
		t.Fatal(err)
	}
	if err := topology.Apply(t.Context(), f.bus, later); err != nil {
		t.Fatal(err)
	}
	f.request(t, events.PipelineRequested{RunID: "late", Queues: map[events.Phase]string{events.Inference: "later"}})
	f.accepted(t, "late") // so all before it have been delivered again
	consumer, err := f.js.Consumer(t.Context(), events.StreamRequests, topology.ConsumerIntake)
	if err != nil {
		t.Fatal(err)
	}
	for consumer.CachedInfo().AckFloor.Stream <= rejected {
		if _, err := consumer.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := runlister.New(f.bus).Accepted(t.Context()); err != nil || !slices.Equal(ids, []string{"late"}) {
		t.Errorf("accepted runs are %v, %v", ids, err)
	}
}

// TestDiedBeforeTheFirstJob: the accepted event exists, the job does not; the
// redelivery publishes the job.
func TestDiedBeforeTheFirstJob(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	f.publish(t, events.PipelineAccepted{
		RunID: "r", Plan: []events.Step{{Phase: events.Inference, Queue: "builtin"}}, Lineage: events.Lineage{RequestSequence: 1},
	})
	f.request(t, events.PipelineRequested{RunID: "r"})
	if p := f.accepted(t, "r").Accepted.Plan; len(p) != 1 {
		t.Errorf("there is another plan: %v", p)
	}
}

// TestRejection: it has all faults of a request, and no secrets.
func TestRejection(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.jsonl")
	for _, path := range []string{outside, filepath.Join(root, "data.jsonl")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "link.jsonl")); err != nil {
		t.Fatal(err)
	}
	f := open(t, intake.Config{DataRoots: []string{root}}, topology.Topology{})
	f.request(t, events.PipelineRequested{RunID: "taken"})
	f.accepted(t, "taken")
	keys := func(section string, kv ...any) json.RawMessage {
		values := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			values[kv[i].(string)] = kv[i+1]
		}
		return specification(t, map[string]map[string]any{section: values})
	}
	ref := func(id string) *events.Reference {
		return &events.Reference{Store: id, Key: "k", SHA256: strings.Repeat("a", 64)}
	}
	for _, c := range []struct {
		name string
		req  events.PipelineRequested
		want string // the keys, sorted
	}{
		{"all at once", events.PipelineRequested{RunID: "taken", From: "cooking", RerunOf: "nobody", Specification: keys("fine_tuner", "epochs", 0, "rnk", 3, "queue", "nope", "learning_rate", "fast")},
			"fine_tuner.epochs fine_tuner.learning_rate fine_tuner.rnk from rerun_of run_id"},
		{"run id", events.PipelineRequested{RunID: "a.b"}, "run_id"},
		{"wildcard run id", events.PipelineRequested{RunID: "*"}, "run_id"},
		{"taken", events.PipelineRequested{RunID: "taken"}, "run_id"},
		{"queue", events.PipelineRequested{Queues: map[events.Phase]string{events.Finetune: "nobody"}}, "fine_tuner.queue"},
		{"queue of no phase", events.PipelineRequested{Queues: map[events.Phase]string{"cooking": "x"}}, "queues"},
		{"variable", events.PipelineRequested{Specification: keys("fine_tuner", "base_model_id", "${HOME}/x", "training_data_id", "owner/data")}, "fine_tuner.base_model_id"},
		{"variable deep inside", events.PipelineRequested{Specification: keys("evaluator", "metrics", []string{"rouge_score", "${METRIC}"})}, "evaluator.metrics evaluator.metrics[1]"},
		{"variable in a label", events.PipelineRequested{Labels: map[string]string{"user": "${USER}"}}, "labels.user"},
		{"variable in the name", events.PipelineRequested{RunName: "run-${USER}"}, "run_name"},
		{"nothing to do", events.PipelineRequested{Specification: keys("pipeline", "enable_finetuning", false, "enable_inference", false, "enable_evaluation", false)}, "pipeline"},
		{"nothing to evaluate", events.PipelineRequested{Specification: keys("pipeline", "enable_finetuning", false, "enable_inference", false)}, "inputs.predictions"},
		{"another store", events.PipelineRequested{Inputs: events.Inputs{Model: ref("elsewhere"), Files: map[string]events.Reference{"x": *ref("elsewhere")}}}, "inputs.files.x inputs.model"},
		{"no digest", events.PipelineRequested{Inputs: events.Inputs{Model: &events.Reference{Store: store, Key: "k"}}}, "inputs.model"},
		{"outside", events.PipelineRequested{Specification: keys("fine_tuner", "training_data_id", outside)}, "fine_tuner.training_data_id"},
		{"outside, with a split", events.PipelineRequested{Specification: keys("fine_tuner", "training_data_id", filepath.Dir(outside)+":hard")}, "fine_tuner.training_data_id"},
		{"missing, with a split", events.PipelineRequested{Specification: keys("inferencer", "testing_data_id", "./none:hard/test")}, "inferencer.testing_data_id"},
		{"traversal", events.PipelineRequested{Specification: keys("fine_tuner", "training_data_id", "../"+filepath.Base(filepath.Dir(outside))+"/secret.jsonl")}, "fine_tuner.training_data_id"},
		{"link", events.PipelineRequested{Specification: keys("fine_tuner", "training_data_id", "link.jsonl")}, "fine_tuner.training_data_id"},
		{"missing", events.PipelineRequested{Specification: keys("inferencer", "testing_data_id", "./none.jsonl")}, "inferencer.testing_data_id"},
		{"secret keys", events.PipelineRequested{Specification: keys("fine_tuner", "hf_token", "hf_S3CRET", "openai_key", "S3CRET")}, "fine_tuner.hf_token fine_tuner.openai_key"},
		{"password of the tracker", events.PipelineRequested{Specification: keys("mlflow", "tracking_uri", "https://me:S3CRET@mlflow.example")}, "mlflow.tracking_uri"},
		{"password of the judge", events.PipelineRequested{Specification: keys("evaluator", "judge_base_url", "https://me:S3CRET@judge.example/v1")}, "evaluator.judge_base_url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults := f.faults(t, f.request(t, c.req))
			if got := strings.Join(slices.Sorted(maps.Keys(faults)), " "); got != c.want {
				t.Errorf("faults of %s, want %s", got, c.want)
			}
			if text := fmt.Sprint(faults); strings.Contains(text, "S3CRET") {
				t.Errorf("a fault contains a secret: %s", text)
			}
		})
	}
	if f.log.contains("S3CRET") {
		t.Error("a secret is in the log")
	}
	ok := f.request(t, events.PipelineRequested{RunID: "inside", Specification: keys("fine_tuner", "training_data_id", "data.jsonl", "validation_data_id", filepath.Join(root, "data.jsonl"))})
	if run := f.accepted(t, "inside"); run.Accepted.Lineage.RequestSequence != ok {
		t.Errorf("accepted: %+v", run.Accepted)
	}
}

// TestRejectionOfPlainJSON: in a request that a person wrote, a misspelled key is
// a fault. A message that is no request at all is rejected too, and becomes a
// dead letter.
func TestRejectionOfPlainJSON(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{}, topology.Topology{})
	faults := f.faults(t, f.publishRaw(t, strings.Replace(plainJSON, `"labels"`, `"lables"`, 1)))
	if fault := faults["lables"]; len(faults) != 1 || !strings.Contains(fault.Message, `"labels"`) {
		t.Errorf("faults: %v", faults)
	}
	faults = f.faults(t, f.publishRaw(t, `{"fine_tuner": {"epochs": 1}, "specification": {}}`))
	if fault := faults["fine_tuner"]; !strings.Contains(fault.Message, "specification") {
		t.Errorf("faults: %v", faults)
	}
	none := []string{``, `{`, `[]`, `"text"`, "\x00", `{"run_id": 5}`, `{"specversion": "1.0", "type": "pipeline.requested"}`, `{"specversion": "1.0", "id": "1", "source": "s", "type": "pipeline.accepted", "data": {}}`}
	for _, body := range none {
		faults := f.faults(t, f.publishRaw(t, body))
		if len(faults) != 1 || faults["request"].Message == "" {
			t.Errorf("%q: faults %v", body, faults)
		}
	}
	eventually(t, "they are dead letters", func() bool {
		dead, err := f.js.Stream(t.Context(), events.StreamDead)
		if err != nil {
			return false
		}
		info, err := dead.Info(t.Context(), jetstream.WithSubjectFilter("dead.>"))
		return err == nil && len(info.State.Subjects) == len(none)
	})
	f.publishRaw(t, plainJSON)
	f.accepted(t, "bare")
}
