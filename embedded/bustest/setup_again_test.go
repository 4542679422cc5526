package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// onServer runs requests to the server that are no requests of tunebus.
func onServer(t *testing.T, c *conn.Conn, do func(ctx context.Context, js jetstream.JetStream) error) {
	t.Helper()
	if err := c.Request(t.Context(), conn.ApplyStream, do); err != nil {
		t.Fatal(err)
	}
}

// streamOf is the configuration of a stream on the server.
func streamOf(t *testing.T, c *conn.Conn, name string) (config jetstream.StreamConfig) {
	t.Helper()
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, name)
		if err == nil {
			config = s.CachedInfo().Config
		}
		return err
	})
	return config
}

// editStream changes the configuration of a stream, as a person does.
func editStream(t *testing.T, c *conn.Conn, name string, edit func(*jetstream.StreamConfig)) {
	t.Helper()
	config := streamOf(t, c, name)
	edit(&config)
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.UpdateStream(ctx, config)
		return err
	})
}

// applied applies a topology, and says what changed.
func applied(t *testing.T, c *conn.Conn, top topology.Topology) (changes []string) {
	t.Helper()
	all, err := topology.ApplyChanges(t.Context(), c, top)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if one.Created {
			changes = append(changes, one.What+" created")
			continue
		}
		changes = append(changes, fmt.Sprintf("%s %s %s %s", one.What, one.Key, one.From, one.To))
	}
	return changes
}

func wantChanges(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s changes\n%q, want\n%q", what, got, want)
	}
}

// TestApplyKeepsCopies: what is on several servers stays there until another number of copies
// is asked for, and what is new gets as many as the stream of facts has.
func TestApplyKeepsCopies(t *testing.T) {
	t.Parallel()
	conns, _ := startCluster(t)
	c := conns[0]
	wantChanges(t, "the same again", applied(t, c, topology.Topology{}))
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		if err := js.DeleteKeyValue(ctx, topology.BucketRuns); err != nil {
			return err
		}
		return js.DeleteStream(ctx, events.StreamLogs)
	})
	wantChanges(t, "what is missing", applied(t, c, topology.Topology{}), "stream TUNEBUS_LOGS created", "bucket tunebus_runs created")
	names := []string{
		events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamLogs, events.StreamDead,
		"KV_" + topology.BucketCheckpoints, "KV_" + topology.BucketRuns, "KV_" + topology.BucketLeases,
	}
	for _, name := range names {
		wantEqual(t, name+": copies", streamOf(t, c, name).Replicas, 3)
	}
	wantChanges(t, "one copy", applied(t, c, topology.Topology{Replicas: 1}),
		"stream TUNEBUS_REQUESTS num_replicas 3 1", "stream TUNEBUS num_replicas 3 1", "stream TUNEBUS_METRICS num_replicas 3 1",
		"stream TUNEBUS_LOGS num_replicas 3 1", "stream TUNEBUS_DEAD num_replicas 3 1",
		"bucket tunebus_checkpoints num_replicas 3 1", "bucket tunebus_runs num_replicas 3 1", "bucket tunebus_leases num_replicas 3 1")
	for _, name := range names {
		wantEqual(t, name+": copies", streamOf(t, c, name).Replicas, 1)
	}
}

// TestApplyKeepsRaisedLimits: a limit that somebody raised or removed stays, as does what
// tunebus has no word in. A smaller one is raised, and one that a topology names is set.
func TestApplyKeepsRaisedLimits(t *testing.T) {
	t.Parallel()
	c := bustest.Connect(t, bustest.Start(t, embedded.Options{}))
	applied(t, c, topology.Topology{FactBytes: 64 << 20, RequestBytes: 64 << 20, LogBytes: 64 << 20})
	wantChanges(t, "the default", applied(t, c, topology.Topology{FactBytes: 96 << 20}),
		"stream TUNEBUS_REQUESTS max_bytes 67108864 1073741824", "stream TUNEBUS max_bytes 67108864 100663296", "stream TUNEBUS_LOGS max_bytes 67108864 536870912")
	editStream(t, c, events.StreamRequests, func(s *jetstream.StreamConfig) { s.MaxBytes, s.Duplicates = 1_500_000_000, time.Hour })
	editStream(t, c, events.StreamMetrics, func(s *jetstream.StreamConfig) { s.MaxBytes, s.MaxAge = -1, 0 })
	editStream(t, c, events.StreamLogs, func(s *jetstream.StreamConfig) {
		s.MaxMsgsPerSubject, s.MaxAge, s.Description = 5000, 90*24*time.Hour, "of ours"
	})
	editStream(t, c, "KV_"+topology.BucketCheckpoints, func(s *jetstream.StreamConfig) { s.MaxBytes = 128 << 20 })
	wantChanges(t, "nothing", applied(t, c, topology.Topology{FactBytes: 96 << 20}))
	wantEqual(t, "bytes of requests", streamOf(t, c, events.StreamRequests).MaxBytes, 1_500_000_000)
	wantEqual(t, "age of metrics", streamOf(t, c, events.StreamMetrics).MaxAge, 0)
	wantEqual(t, "age of logs", streamOf(t, c, events.StreamLogs).MaxAge, 90*24*time.Hour)
	wantChanges(t, "what is named", applied(t, c, topology.Topology{FactBytes: 80 << 20, RequestBytes: 64 << 20, MetricAge: time.Hour}),
		"stream TUNEBUS_REQUESTS max_bytes 1500000000 67108864", "stream TUNEBUS max_bytes 100663296 83886080", "stream TUNEBUS_METRICS max_age unlimited 1h0m0s")
}

// TestApplyRestoresWhatIsNeeded: settings that lose messages, or keep them from workers, are
// set again, and that is said.
func TestApplyRestoresWhatIsNeeded(t *testing.T) {
	t.Parallel()
	c := bustest.Connect(t, bustest.Start(t, embedded.Options{}))
	applied(t, c, topology.Topology{AckWait: 10 * time.Second})
	editStream(t, c, events.StreamFacts, func(s *jetstream.StreamConfig) {
		s.MaxAge, s.MaxMsgs, s.MaxMsgsPerSubject, s.Discard, s.DiscardNewPerSubject = time.Hour, 1000, 5, jetstream.DiscardOld, false
	})
	editStream(t, c, "KV_"+topology.BucketLeases, func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour })
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Consumer(ctx, events.StreamFacts, "finetune_builtin")
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.MaxAckPending, config.AckWait, config.Description = 1, time.Minute, "of ours"
		if _, err := js.UpdateConsumer(ctx, events.StreamFacts, config); err != nil {
			return err
		}
		return js.DeleteConsumer(ctx, events.StreamFacts, "inference_openai")
	})
	got := applied(t, c, topology.Topology{})
	slices.Sort(got)
	wantChanges(t, "what is needed", got,
		"bucket tunebus_leases max_age 1h0m0s 15s",
		"consumer finetune_builtin of TUNEBUS max_ack_pending 1 unlimited",
		"consumer inference_openai of TUNEBUS created",
		"stream TUNEBUS discard old new",
		"stream TUNEBUS discard_new_per_subject none true",
		"stream TUNEBUS max_age 1h0m0s unlimited",
		"stream TUNEBUS max_msgs 1000 unlimited",
		"stream TUNEBUS max_msgs_per_subject 5 1")
	waits := map[string]time.Duration{}
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		for _, name := range []string{"finetune_builtin", "inference_openai"} {
			s, err := js.Consumer(ctx, events.StreamFacts, name)
			if err != nil {
				return err
			}
			waits[name] = s.CachedInfo().Config.AckWait
		}
		return nil
	})
	wantEqual(t, "ack wait that somebody raised", waits["finetune_builtin"], time.Minute)
	wantEqual(t, "ack wait of the new one", waits["inference_openai"], 10*time.Second)
	wantChanges(t, "an ack wait that is named", applied(t, c, topology.Topology{AckWait: 10 * time.Second}), "consumer finetune_builtin of TUNEBUS ack_wait 1m0s 10s")
}

// TestDeletedBucket: a bucket that was deleted while it is in use is named, with what makes
// it again, and works on when it is there again.
func TestDeletedBucket(t *testing.T) {
	t.Parallel()
	c := bustest.Connect(t, bustest.Start(t, embedded.Options{}))
	applied(t, c, topology.Topology{})
	bound, err := c.Bucket(t.Context(), topology.BucketCheckpoints)
	if err != nil {
		t.Fatal(err)
	}
	onServer(t, c, func(ctx context.Context, js jetstream.JetStream) error {
		if err := js.DeleteKeyValue(ctx, topology.BucketLeases); err != nil {
			return err
		}
		return js.DeleteKeyValue(ctx, topology.BucketCheckpoints)
	})
	_, _, read := bound.Get(t.Context(), "a")
	_, write := bound.Update(t.Context(), "a", []byte("x"), 0)
	want := `the bucket tunebus_checkpoints is missing on the server; "tunebus setup" creates it`
	for what, err := range map[string]error{"get": read, "update": write, "put": bound.Put(t.Context(), "a", nil), "purge": bound.Purge(t.Context(), "a", time.Hour)} {
		if err == nil || err.Error() != want || !errors.Is(err, jetstream.ErrBucketNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Bucket(t.Context(), topology.BucketLeases); err == nil || !strings.Contains(err.Error(), "the bucket tunebus_leases is missing") {
		t.Errorf("bind: %v", err)
	}
	wantChanges(t, "what is missing", applied(t, c, topology.Topology{}), "bucket tunebus_checkpoints created", "bucket tunebus_leases created")
	if err := bound.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Errorf("put once the bucket is there again: %v", err)
	}
}
