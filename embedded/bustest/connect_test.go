package bustest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

func TestUnreachableServerIsNamedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://user:hush@127.0.0.1:1", "nats://user:hush%zz@127.0.0.1:1", "nats://hush@127.0.0.1:1"} {
		_, err := conn.Connect(t.Context(), conn.Options{URL: url, Wait: -1})
		var unreachable *conn.UnreachableError
		if !errors.As(err, &unreachable) {
			t.Errorf("%v, want an UnreachableError", err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

// TestRingHearsTheLastOfSeveral: the bell rings after the last of several
// publishes was stored, also when they follow each other closely.
func TestRingHearsTheLastOfSeveral(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	bell, err := wakeup.Watch(ctx, b, "finetune.started.r1.*")
	if err != nil {
		t.Fatal(err)
	}
	const last = 20
	go func() {
		for i := range last {
			if _, err := journal.New(b).Publish(ctx, started(i+1), journal.Fence{}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-bell:
		case <-ctx.Done():
			t.Fatal("the bell fell silent before the last publish")
		}
		run, err := history.New(b).Run(ctx, "r1")
		if err != nil {
			t.Fatal(err)
		}
		if p := run.Phases[events.Finetune]; p != nil && p.NextAttempt() == last+1 {
			return
		}
	}
}

func TestClosedBusRingsNoMore(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Start(t, embedded.Options{}))
	if _, err := wakeup.Watch(t.Context(), b, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	b.Close() // waits for the goroutine behind the bell
	b.Close()
	if _, err := wakeup.Watch(t.Context(), b, "a.b.c"); err == nil {
		t.Error("a closed bus listens")
	}
}
