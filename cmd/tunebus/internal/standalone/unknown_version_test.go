package standalone_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// TestUnknownVersionBecomesDeadLetter: after a set time a message of an unknown version
// becomes a dead letter of its consumer. A request is rejected as well.
func TestUnknownVersionBecomesDeadLetter(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true, Listen: "127.0.0.1:0", Settings: settings.Settings{Bus: settings.Bus{UnknownFor: time.Millisecond}}})
	nc, err := nats.Connect(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for _, subject := range []string{events.TypePipelineRequested, events.PhaseRequested{RunID: "newer", Phase: events.Finetune, Queue: "builtin"}.Subject()} {
		typ := strings.Join(strings.SplitN(subject, ".", 3)[:2], ".")
		body := fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"test","type":%q,"dataschema":"https://tunebus.dev/schemas/%s.v99.json","datacontenttype":"application/json","data":{"run_id":"newer"}}`, typ, typ)
		if err := nc.Publish(subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	by := map[string]string{}
	eventually(t, "two dead letters", func() bool {
		if err := deadletter.New(l.Bus).List(t.Context(), func(letter deadletter.Letter) error {
			by[letter.Consumer] = letter.Reason
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return len(by) == 2
	})
	for _, consumer := range []string{topology.ConsumerIntake, topology.JobConsumer(events.Finetune, "builtin")} {
		if !strings.Contains(by[consumer], "upgrade this service") {
			t.Errorf("the reason of %s is %q", consumer, by[consumer])
		}
	}
	eventually(t, "the rejection", func() bool {
		m, err := history.New(l.Bus).Latest(t.Context(), events.PipelineRejected{RequestSequence: 1}.Subject())
		return err == nil && strings.Contains(m.Event.(events.PipelineRejected).Faults[0].Message, "v99")
	})
}
