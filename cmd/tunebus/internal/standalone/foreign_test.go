package standalone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestForeignMessages: messages that cannot be decoded become dead letters,
// those of a newer version are given back, and runs go on beside them.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true, Listen: "127.0.0.1:0"})
	js := stranger(t, l)
	subjects := func(id string) []string {
		return []string{
			"pipeline.accepted." + id, "pipeline.cancel_requested." + id, "pipeline.completed." + id,
			"finetune.requested." + id + ".builtin", "inference.requested." + id + ".builtin", "evaluation.requested." + id + ".builtin",
			"finetune.started." + id + ".1", "finetune.attempt_ended." + id + ".1", "finetune.completed." + id,
			"finetune.progress." + id + ".1", "finetune.telemetry." + id + ".1",
		}
	}
	for _, subject := range subjects("malformed") {
		if _, err := js.Publish(t.Context(), subject, []byte(`{"not": "an event`)); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range append(subjects("newer"), "pipeline.requested") {
		typ := strings.Join(strings.SplitN(subject, ".", 3)[:2], ".")
		body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"test","type":%q,"dataschema":"https://tunebus.dev/schemas/%s.v99.json","datacontenttype":"application/json","data":{"run_id":"newer"}}`, subject, typ, typ)
		if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	request(t, l, "fine", nil)
	if c := ended(t, l, "fine", true).Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	buried := map[string]bool{}
	letters, err := js.OrderedConsumer(t.Context(), events.StreamDead, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"dead.>"}})
	if err != nil {
		t.Fatal(err)
	}
	// Metric events are no facts: nobody keeps those that cannot be read.
	want := subjects("malformed")[:9]
	messages, err := letters.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	left := func() (out []string) {
		for _, s := range want {
			if !buried[s] {
				out = append(out, s)
			}
		}
		return out
	}
	for len(left()) > 0 {
		m, err := messages.Next(jetstream.NextMaxWait(20e9))
		if err != nil {
			t.Fatalf("no dead letters of %v: %v", left(), err)
		}
		subject := m.Headers().Get(deadletter.HeaderSubject)
		if strings.Contains(subject, "newer") {
			t.Errorf("%s was given up: %s", subject, m.Headers().Get(deadletter.HeaderReason))
		}
		buried[subject] = true
	}
	if len(left()) == 0 && len(buried) < len(want) {
		t.Errorf("dead letters: %v", buried)
	}
	for durable, stream := range map[string]string{topology.JobConsumer(events.Finetune, "builtin"): events.StreamFacts, topology.ConsumerIntake: events.StreamRequests} {
		eventually(t, "the newer message waits for "+durable, func() bool {
			c, err := js.Consumer(t.Context(), stream, durable)
			return err == nil && c.CachedInfo().NumAckPending == 1
		})
	}
}
