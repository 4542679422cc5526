package faultproxy_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// specification is that of all runs. The engines of these tests read nothing of
// what it names.
const specification = `[fine_tuner]
base_model_id = "owner/model"
training_data_id = "owner/data"
[inferencer]
testing_data_id = "owner/data"
[evaluator]
metrics = ["exact_match"]
[pipeline]
backoff = "100ms"
`

// play has a deployment go through everything that the product does.
func (d *deployment) play(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(d.in("run.toml"), []byte(specification), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must(t, 0, "setup", "--ack-wait", ackWait.String())
	for _, name := range []string{intakeProcess, finetuneProcess, inferenceProcess, evaluationProcess, trackerProcess} {
		d.start(t, name)
	}
	for _, run := range []string{retried, taken, canceled} {
		d.submit(t, 0, run)
	}
	d.submit(t, 0, overdue, "--set", "pipeline.deadline=1s")
	d.state.Ends[canceled] = []events.Conclusion{events.Cancelled}
	d.state.Ends[overdue] = []events.Conclusion{events.Cancelled}
	d.submit(t, 0, plain, "--wait=tracked")
	d.must(t, 0, "doctor")
	d.loseWorker(t)
	d.must(t, 0, "cancel", canceled)
	d.must(t, 0, "rerun", plain, "--from", "inference", "--run-id", again, "--wait", "--config", d.in("run.toml"))
	d.redrive(t)
	d.must(t, 0, "watch", taken)
	d.must(t, 5, "watch", overdue)
	d.must(t, 0, "watch", retried)
	d.must(t, 0, "runs")
	d.must(t, 0, "show", taken)
	d.rest(t)
	d.must(t, 0, "replay", "tracking", "--run", plain)
	d.must(t, 0, "replay", "requests", "--from-seq", "1", "--set", "pipeline.stop_after_finetuning=true", "--dry-run")
	d.must(t, 0, "gc", "--grace", "0s")
	// A worker that lost an attempt may send the last of its metrics as it ends. The
	// tracker has to take those, too.
	for name, stop := range d.stop {
		if name != trackerProcess {
			stop()
		}
	}
	d.eventually(t, "nothing is left for the tracker", d.settled)
	d.stop[trackerProcess]()
	d.audited(t)
	d.archive(t)
}

func (d *deployment) submit(t *testing.T, want int, run string, args ...string) {
	t.Helper()
	d.must(t, want, append([]string{"submit", "--run-id", run, "--config", d.in("run.toml")}, args...)...)
}

// loseWorker ends the process of a worker that holds a job, without a word to
// the server, and starts its successor.
func (d *deployment) loseWorker(t *testing.T) {
	t.Helper()
	d.eventually(t, "the start of the run whose worker dies", func(ctx context.Context) error {
		started, err := d.subjects(ctx, events.StreamFacts, events.StartedFilter(events.Finetune, taken))
		if err == nil && len(started) == 0 {
			err = errors.New("no attempt")
		}
		return err
	})
	d.eventually(t, "the heartbeats of the worker", func(context.Context) error {
		if d.proxies[finetuneProcess].Counts()[conn.Heartbeat] < 3 {
			return errors.New("too few")
		}
		return nil
	})
	d.proxies[finetuneProcess].Cut()
	d.stop[finetuneProcess]()
	d.start(t, successor)
}

// redrive hands a dead letter back, and discards the one that it becomes again.
func (d *deployment) redrive(t *testing.T) {
	t.Helper()
	if _, err := d.js.Publish(t.Context(), events.TypePipelineRequested, []byte("no request")); err != nil {
		t.Fatal(err)
	}
	letters := func(n int) {
		d.eventually(t, "the dead letter", func(ctx context.Context) error {
			found, err := d.subjects(ctx, events.StreamDead, "dead.>")
			if err == nil && len(found) != n {
				err = errors.New("it is not there")
			}
			return err
		})
	}
	letters(1)
	d.must(t, 0, "dlq", "retry", "--all")
	letters(1)
	d.must(t, 0, "dlq", "list")
	d.must(t, 0, "dlq", "discard", "--all", "--force")
	letters(0)
}

// rest waits until nothing goes on.
func (d *deployment) rest(t *testing.T) {
	t.Helper()
	d.eventually(t, "everything is at rest", d.atRest)
}

// archive takes the runs out of the stream, and reads them there.
func (d *deployment) archive(t *testing.T) {
	t.Helper()
	d.must(t, 0, "archive", "--older-than", "0s")
	d.eventually(t, "the runs are archived", func(ctx context.Context) error {
		left, err := d.subjects(ctx, events.StreamFacts, events.TypePipelineAccepted+".*")
		if err == nil && len(left) > 0 {
			err = errors.New("the stream has runs")
		}
		return err
	})
	d.must(t, 0, "gc", "--grace", "0s")
	for _, run := range []string{plain, retried, taken, canceled, overdue, again} {
		want := string(events.Success)
		if ends := d.state.Ends[run]; len(ends) > 0 {
			want = string(ends[0])
		}
		if out := d.must(t, 0, "show", run, "--json"); !strings.Contains(out, want) {
			t.Errorf("the archived run %s is shown as %s", run, out)
		}
	}
	d.eventually(t, "the leases are given back", func(ctx context.Context) error {
		kv, err := d.js.KeyValue(ctx, "tunebus_leases")
		if err != nil {
			return err
		}
		keys, err := kv.ListKeys(ctx)
		if err != nil {
			return err
		}
		for key := range keys.Keys() {
			if key != indexLease {
				return errors.New(key + " is held")
			}
		}
		return nil
	})
}
