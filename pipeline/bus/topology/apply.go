package topology

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// applyTries is how often a request of Apply is made that gets no answer.
const applyTries = 3

// How often a request of Apply is made that a cluster without a leader refuses, and how long
// to wait in between: a stream elects one anew when its copies change.
const (
	electionTries = 20
	electionWait  = 500 * time.Millisecond
	// codeUnavailable is the error code of that refusal.
	codeUnavailable = 10008
)

// apply makes a request that may be repeated.
func apply(ctx context.Context, c *conn.Conn, op conn.Op, do func(ctx context.Context, js jetstream.JetStream) error) error {
	for try := 1; ; try++ {
		err := c.Request(ctx, op, do)
		if refusal, ok := errors.AsType[*jetstream.APIError](err); ok && refusal.ErrorCode == codeUnavailable && try < electionTries {
			select {
			case <-ctx.Done():
				return err
			case <-time.After(electionWait):
				continue
			}
		}
		if err == nil || try >= applyTries || ctx.Err() != nil || !conn.IsUnanswered(err) {
			return err
		}
		c.Logger().Warn("NATS does not answer; asking again", "error", err)
	}
}

// Apply creates or updates the streams, the buckets and the consumers. It may
// be repeated: what is there keeps its messages, its copies, its ack wait, and limits that
// are larger than the default, unless the topology names others. The error is a
// [*PayloadError], and nothing changes, if the server takes only small messages.
func Apply(ctx context.Context, c *conn.Conn, t Topology) error {
	_, err := ApplyChanges(ctx, c, t)
	return err
}

// ApplyChanges is [Apply], and says what it changed, also if it fails midway.
func ApplyChanges(ctx context.Context, c *conn.Conn, t Topology) (changes []Change, err error) {
	if _, err := CheckPayload(ctx, c); err != nil {
		return nil, err
	}
	asked := t
	t = t.withDefaults()
	if t, err = t.adopt(ctx, c); err != nil {
		return nil, err
	}
	for _, w := range t.wanted(asked) {
		changed, err := w.apply(ctx, c)
		if err != nil {
			return changes, fmt.Errorf("set up %s: %w", w.what, t.storageError(ctx, c, w.stream.Name, w.stream.MaxBytes, err))
		}
		changes = append(changes, changed...)
	}
	consumers := t.consumers()
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamDead} {
		for _, cfg := range consumers[stream] {
			changed, err := applyConsumer(ctx, c, stream, cfg, asked.AckWait > 0)
			if err != nil {
				return changes, fmt.Errorf("set up consumer %s of %s: %w", cfg.Durable, stream, err)
			}
			changes = append(changes, changed...)
		}
	}
	return changes, nil
}

// adopt takes the number of copies and the ack wait, for what is new, from what exists on
// the server, where the topology names none.
func (t Topology) adopt(ctx context.Context, c *conn.Conn) (Topology, error) {
	if t.Replicas == 0 {
		t.Replicas = 1
		names := []string{events.StreamFacts, events.StreamRequests, events.StreamMetrics, events.StreamLogs, events.StreamDead}
		for _, name := range names {
			there, err := streamConfig(ctx, c, name)
			if err != nil {
				return t, fmt.Errorf("look at stream %s: %w", name, err)
			}
			if there != nil {
				t.Replicas = there.Replicas
				break
			}
		}
	}
	if t.AckWait > 0 {
		return t, nil
	}
	t.AckWait = 30 * time.Second
	err := apply(ctx, c, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		there, err := js.Consumer(ctx, events.StreamRequests, ConsumerIntake)
		if err == nil {
			t.AckWait = there.CachedInfo().Config.AckWait
		}
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return t, fmt.Errorf("look at consumer %s of %s: %w", ConsumerIntake, events.StreamRequests, err)
	}
	return t, nil
}

// streamConfig is the configuration of a stream, nil if it does not exist.
func streamConfig(ctx context.Context, c *conn.Conn, name string) (there *jetstream.StreamConfig, err error) {
	err = apply(ctx, c, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		if err == nil {
			there = &s.CachedInfo().Config
		}
		return err
	})
	return there, err
}

// wanted is a stream, or a bucket, as it is to be.
type wanted struct {
	// what is its name for a person, such as "bucket tunebus_runs".
	what   string
	stream jetstream.StreamConfig
	create func(ctx context.Context, js jetstream.JetStream) error
	op     conn.Op
	// copies is set if the one that exists gets another number of copies; bytes and age, if
	// it gets the limit also where its own is larger.
	copies, bytes, age bool
}

// wanted lists the streams and buckets. What is asked for by name holds also for those that exist.
func (t Topology) wanted(asked Topology) (all []wanted) {
	bytes := map[string]bool{
		events.StreamFacts: asked.FactBytes > 0, events.StreamRequests: asked.RequestBytes > 0, events.StreamMetrics: asked.MetricBytes > 0,
		events.StreamLogs: asked.LogBytes > 0, events.StreamDead: asked.DeadBytes > 0,
	}
	age := map[string]bool{events.StreamMetrics: asked.MetricAge > 0, events.StreamLogs: asked.LogAge > 0}
	for _, s := range t.streams() {
		all = append(all, wanted{
			what: "stream " + s.Name, stream: s, op: conn.ApplyStream, copies: asked.Replicas > 0, bytes: bytes[s.Name], age: age[s.Name],
			create: func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.CreateStream(ctx, s)
				return err
			},
		})
	}
	for _, kv := range t.buckets() {
		all = append(all, wanted{
			what: "bucket " + kv.Bucket, stream: streamOf(kv), op: conn.ApplyBucket, copies: asked.Replicas > 0,
			age: kv.TTL > 0, // a lease that lives longer keeps the next owner waiting
			create: func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.CreateKeyValue(ctx, kv)
				return err
			},
		})
	}
	return all
}

// streamOf is the stream of a bucket, as far as [wanted.over] compares it. NATS ADR-8 says how
// a bucket lies in its stream.
func streamOf(kv jetstream.KeyValueConfig) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + kv.Bucket, Subjects: []string{"$KV." + kv.Bucket + ".>"}, Storage: kv.Storage, Replicas: kv.Replicas,
		MaxBytes: kv.MaxBytes, MaxAge: kv.TTL, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		AllowDirect: true, AllowRollup: true, AllowMsgTTL: kv.LimitMarkerTTL > 0, SubjectDeleteMarkerTTL: kv.LimitMarkerTTL,
	}
}

// apply creates the stream or the bucket, or changes the one that is there. One that is there
// as wanted is not written: what only reads, or makes room, works on a full disk as well.
func (w wanted) apply(ctx context.Context, c *conn.Conn) (changes []Change, err error) {
	err = apply(ctx, c, w.op, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, w.stream.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = w.create(ctx, js)
			if err == nil {
				changes = []Change{{What: w.what, Created: true}}
			}
			if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && !errors.Is(err, jetstream.ErrBucketExists) {
				return err
			}
			s, err = js.Stream(ctx, w.stream.Name) // somebody else has created it meanwhile
		}
		if err != nil {
			return err
		}
		there := s.CachedInfo().Config
		want := w.over(there)
		if reflect.DeepEqual(there, want) {
			return nil
		}
		changes = changesOf(w.what, there, want)
		_, err = js.UpdateStream(ctx, want)
		return err
	})
	return changes, err
}

// over is the configuration of a stream that exists, with what tunebus relies on. The rest,
// such as a description, a placement or larger limits, is what somebody wanted.
func (w wanted) over(there jetstream.StreamConfig) jetstream.StreamConfig {
	out, want := there, w.stream
	out.Subjects, out.Storage, out.Retention, out.NoAck = want.Subjects, want.Storage, want.Retention, false
	out.Discard, out.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	out.ConsumerLimits = jetstream.StreamConsumerLimits{} // limits that consumers of ours exceed
	out.AllowDirect = true
	out.AllowRollup, out.AllowMsgTTL = there.AllowRollup || want.AllowRollup, there.AllowMsgTTL || want.AllowMsgTTL
	if want.SubjectDeleteMarkerTTL > 0 {
		out.SubjectDeleteMarkerTTL = want.SubjectDeleteMarkerTTL
	}
	if w.copies {
		out.Replicas = want.Replicas
	}
	out.MaxBytes = limit(there.MaxBytes, want.MaxBytes, -1, w.bytes)
	out.MaxAge = limit(there.MaxAge, want.MaxAge, 0, w.age)
	out.MaxMsgs = limit(there.MaxMsgs, 0, -1, false)
	out.MaxMsgSize = limit(there.MaxMsgSize, 0, -1, false)
	// A stream that keeps the last message of each subject keeps no more: the others count
	// each of its messages as one fact.
	out.MaxMsgsPerSubject = limit(there.MaxMsgsPerSubject, want.MaxMsgsPerSubject, -1, want.MaxMsgsPerSubject == 1)
	out.Duplicates = max(there.Duplicates, want.Duplicates)
	return out
}

// limit is the larger one of a limit that is there and the one that is wanted, or exactly the
// one that is wanted. A limit that is not positive is none.
func limit[T int32 | int64 | time.Duration](there, want, none T, exact bool) T {
	switch {
	case there <= 0 && want <= 0:
		return there // as the server writes it
	case want <= 0:
		return none
	case exact:
		return want
	case there <= 0:
		return there
	}
	return max(there, want)
}

// applyConsumer creates a consumer, or changes the one that is there. ackWait says whether
// that one gets the ack wait.
func applyConsumer(ctx context.Context, c *conn.Conn, stream string, want jetstream.ConsumerConfig, ackWait bool) (changes []Change, err error) {
	what := "consumer " + want.Durable + " of " + stream
	err = apply(ctx, c, conn.ApplyConsumer, func(ctx context.Context, js jetstream.JetStream) error {
		consumer, err := js.Consumer(ctx, stream, want.Durable)
		want := want
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			changes = []Change{{What: what, Created: true}}
		case err != nil:
			return err
		default:
			there := consumer.CachedInfo().Config
			if want = overConsumer(there, want, ackWait); reflect.DeepEqual(there, want) {
				return nil // the server would write it once more
			}
			changes = changesOf(what, there, want)
		}
		_, err = js.CreateOrUpdateConsumer(ctx, stream, want)
		return err
	})
	return changes, err
}

// overConsumer is the wanted configuration of a consumer that exists, with what the server
// adds and what somebody may have set.
func overConsumer(there, want jetstream.ConsumerConfig, ackWait bool) jetstream.ConsumerConfig {
	want.Name, want.Metadata, want.MaxWaiting, want.Description = there.Name, there.Metadata, there.MaxWaiting, there.Description
	if !ackWait && len(there.BackOff) == 0 { // else the ack wait is the first of the back-off
		want.AckWait = there.AckWait
	}
	return want
}
