package standalone_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker"
)

// TestUnreadableFactsAreGaps: a run with a malformed fact is tracked without
// it, and says so; one with a fact of a newer version waits for a newer
// tracker first, for a set time.
func TestUnreadableFactsAreGaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const patience = 3 * time.Second
	littered := make(chan struct{})
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		<-littered
		return noop(ctx, job)
	})
	l, err := standalone.Start(t.Context(), standalone.Config{
		RelaxedSync: true, Data: dir, Engines: e, Listen: "127.0.0.1:0", UnknownFor: patience,
		Workers: map[events.Phase]settings.Worker{events.Finetune: {Slots: 2}},
		Tracker: tracker.Config{TrackingURI: "file://" + dir + "/mlruns", Reports: dir + "/reports", Settle: 20 * time.Millisecond, Retry: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	js := stranger(t, l)
	const newer = `{"specversion":"1.0","id":"x","source":"test","type":"evaluation.started","dataschema":"https://tunebus.dev/schemas/evaluation.started.v99.json","datacontenttype":"application/json","data":{}}`
	stored := time.Now()
	for id, body := range map[string]string{"malformed": "{", "newer": newer} {
		request(t, l, id, map[string]map[string]any{"pipeline": {"stop_after_finetuning": true}})
		eventually(t, "the run is accepted", func() bool {
			run, err := history.New(l.Bus).Run(t.Context(), id)
			return err == nil && run.Accepted != nil
		})
		if _, err := js.Publish(t.Context(), "evaluation.started."+id+".7", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	close(littered)
	for id, why := range map[string]string{"malformed": "not a structured", "newer": "v99"} {
		var run events.Run
		eventually(t, "the run is tracked", func() bool {
			var err error
			run, err = history.New(l.Bus).Run(t.Context(), id)
			return codec.IsUndecodable(err) && run.Tracked != nil
		})
		gap := fmt.Sprintf("fact evaluation.started.%s.7 at sequence ", id)
		if gaps := run.Tracked.Gaps; len(gaps) != 1 || !strings.HasPrefix(gaps[0], gap) || !strings.Contains(gaps[0], why) {
			t.Errorf("%s has the gaps %q", id, gaps)
		}
		m, err := history.New(l.Bus).Latest(t.Context(), events.TrackingCompleted{RunID: id}.Subject())
		if err != nil {
			t.Fatal(err)
		}
		if waited := m.Time.Sub(stored) >= patience; waited != (id == "newer") {
			t.Errorf("%s was recorded after %s", id, m.Time.Sub(stored))
		}
	}
}
