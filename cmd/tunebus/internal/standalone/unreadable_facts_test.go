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
	"github.com/tunebus/tunebus/services/tracker"
)

// TestTrackerGapsOfUnreadableFacts: a run with a malformed fact is tracked without it,
// with a gap. A run with a fact of a newer version first waits for a newer tracker,
// for a set time.
func TestTrackerGapsOfUnreadableFacts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const hold = 3 * time.Second
	published := make(chan struct{})
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		<-published
		return noop(ctx, job)
	})
	cfg := trackedSettings(dir)
	cfg.Bus.UnknownFor, cfg.Finetune.Slots = hold, 2
	l, err := standalone.Start(t.Context(), standalone.Config{
		RelaxedSync: true, Settings: cfg, Engines: e, Listen: "127.0.0.1:0",
		Tracker: func(c *tracker.Config) { c.QuietPeriod, c.Retry = 20*time.Millisecond, 20*time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	js := plainClient(t, l)
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
	close(published)
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
		if waited := m.Time.Sub(stored) >= hold; waited != (id == "newer") {
			t.Errorf("%s was recorded after %s", id, m.Time.Sub(stored))
		}
	}
}
