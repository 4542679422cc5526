package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Layout is what Setup creates.
type Layout struct {
	// Queues are the queues of each phase; each gets one durable consumer.
	Queues map[events.Phase][]string
	// Replicas of every stream. Default 1.
	Replicas int
	// AckWait is how long the job of a dead worker waits for the next one.
	// Default 30 s.
	AckWait time.Duration
	// FactBytes, RequestBytes, MetricBytes and DeadBytes bound the streams.
	// Defaults 4 GiB, 1 GiB, 1 GiB and 256 MiB.
	FactBytes, RequestBytes, MetricBytes, DeadBytes int64
	// MetricAge is how long metric points are kept. Default 7 days.
	MetricAge time.Duration
}

// Buckets of the key-value store.
const (
	BucketCheckpoints = "tunebus_checkpoints"
	BucketRuns        = "tunebus_runs"
)

// The durables of the services that are no phase.
const (
	DurableIntake   = "intake"
	DurableCancel   = "intake_cancel"
	DurableDeadline = "intake_deadline"
	DurableTracker  = "tracker"
	DurableMetrics  = "tracker_metrics"
	DurableLetters  = "intake_letters"
)

// JobDurable is the durable consumer of one phase and queue.
func JobDurable(p events.Phase, queue string) string { return string(p) + "_" + queue }

// BuiltinQueues is the layout's usual set: one queue for each engine that
// tunebus knows.
func BuiltinQueues() map[events.Phase][]string {
	return map[events.Phase][]string{
		events.Finetune:   {"builtin", "trl"},
		events.Inference:  {"builtin", "openai"},
		events.Evaluation: {"builtin"},
	}
}

// exhaustedAdvisory is what the server says when it has delivered a message
// for the last time; <stream>.<consumer> follows.
const exhaustedAdvisory = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."

func (l Layout) withDefaults() Layout {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.FactBytes, 4<<30)
	def(&l.RequestBytes, 1<<30)
	def(&l.MetricBytes, 1<<30)
	def(&l.DeadBytes, 256<<20)
	if l.Queues == nil {
		l.Queues = BuiltinQueues()
	}
	if l.Replicas == 0 {
		l.Replicas = 1
	}
	if l.AckWait == 0 {
		l.AckWait = 30 * time.Second
	}
	if l.MetricAge == 0 {
		l.MetricAge = 7 * 24 * time.Hour
	}
	return l
}

// Setup creates or updates the streams, the buckets and the durable
// consumers. It may be repeated; what is there keeps its messages.
func (b *Bus) Setup(ctx context.Context, l Layout) error {
	l = l.withDefaults()
	for _, s := range l.streams() {
		if _, err := b.js.CreateOrUpdateStream(ctx, s); err != nil {
			return fmt.Errorf("set up stream %s: %w", s.Name, err)
		}
	}
	for _, kv := range l.buckets() {
		if _, err := b.js.CreateOrUpdateKeyValue(ctx, kv); err != nil {
			return fmt.Errorf("set up bucket %s: %w", kv.Bucket, err)
		}
	}
	for stream, consumers := range l.consumers() {
		for _, c := range consumers {
			if _, err := b.js.CreateOrUpdateConsumer(ctx, stream, c); err != nil {
				return fmt.Errorf("set up consumer %s of %s: %w", c.Durable, stream, err)
			}
		}
	}
	return nil
}

func (l Layout) buckets() []jetstream.KeyValueConfig {
	base := jetstream.KeyValueConfig{Replicas: l.Replicas, MaxBytes: 64 << 20, Storage: jetstream.FileStorage}
	checkpoints, runs, leases := base, base, base
	checkpoints.Bucket, checkpoints.LimitMarkerTTL = BucketCheckpoints, time.Hour
	runs.Bucket, runs.LimitMarkerTTL = BucketRuns, time.Hour
	// A lease might be forgotten by a restart of the server, but a bucket that
	// is kept in memory is gone with it altogether, and services only bind.
	leases.Bucket, leases.TTL, leases.MaxBytes = BucketLeases, leaseTime, 1<<20
	return []jetstream.KeyValueConfig{checkpoints, runs, leases}
}

func (l Layout) streams() []jetstream.StreamConfig {
	base := jetstream.StreamConfig{Storage: jetstream.FileStorage, Replicas: l.Replicas, AllowDirect: true, Duplicates: 10 * time.Minute}
	requests, facts, metrics, dead := base, base, base, base

	requests.Name, requests.Subjects, requests.MaxBytes = events.StreamRequests, []string{events.TypePipelineRequested}, l.RequestBytes
	requests.Discard = jetstream.DiscardNew

	facts.Name, facts.Subjects, facts.MaxBytes = events.StreamFacts, append(events.FactSubjects(), events.RetryFilter("*")), l.FactBytes
	facts.MaxMsgsPerSubject, facts.Discard, facts.DiscardNewPerSubject = 1, jetstream.DiscardNew, true

	metrics.Name, metrics.Subjects, metrics.MaxBytes = events.StreamMetrics, events.MetricSubjects(), l.MetricBytes
	metrics.Discard, metrics.MaxAge = jetstream.DiscardOld, l.MetricAge

	dead.Name, dead.MaxBytes, dead.Discard = events.StreamDead, l.DeadBytes, jetstream.DiscardOld
	dead.Subjects = []string{events.DeadFilter()}
	for _, s := range []string{events.StreamRequests, events.StreamFacts} {
		dead.Subjects = append(dead.Subjects, exhaustedAdvisory+s+".>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."+s+".>")
	}
	return []jetstream.StreamConfig{requests, facts, metrics, dead}
}

func (l Layout) consumers() map[string][]jetstream.ConsumerConfig {
	durable := func(name string, maxDeliver int, filters ...string) jetstream.ConsumerConfig {
		return jetstream.ConsumerConfig{
			Durable: name, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy, AckWait: l.AckWait,
			MaxAckPending: -1, MaxDeliver: maxDeliver, DeliverPolicy: jetstream.DeliverAllPolicy,
		}
	}
	// Each consumer of facts takes what is handed back to it, besides.
	ofFacts := func(name string, maxDeliver int, filters ...string) jetstream.ConsumerConfig {
		return durable(name, maxDeliver, append(filters, events.RetryFilter(name))...)
	}
	const net = 1000 // a high safety net: tries are counted in facts, not in deliveries
	facts := []jetstream.ConsumerConfig{
		ofFacts(DurableCancel, -1, events.TypeCancelRequested+".*"),
		ofFacts(DurableDeadline, -1, events.TypePipelineAccepted+".*"),
		ofFacts(DurableTracker, -1, events.TrackedSubjects()...),
	}
	for p, queues := range l.Queues {
		for _, q := range queues {
			facts = append(facts, ofFacts(JobDurable(p, q), net, events.JobFilter(p, q)))
		}
	}
	return map[string][]jetstream.ConsumerConfig{
		events.StreamRequests: {durable(DurableIntake, -1, events.TypePipelineRequested)},
		events.StreamFacts:    facts,
		events.StreamMetrics:  {durable(DurableMetrics, 5, events.MetricSubjects()...)},
		events.StreamDead:     {durable(DurableLetters, -1, exhaustedAdvisory+">")},
	}
}

// HasQueue reports whether a durable consumer of the phase and queue exists.
// A queue that was there a minute ago counts as there.
func (b *Bus) HasQueue(ctx context.Context, p events.Phase, queue string) (bool, error) {
	name := JobDurable(p, queue)
	b.mu.Lock()
	seen, ok := b.queues[name]
	b.mu.Unlock()
	if ok && time.Since(seen) < time.Minute {
		return true, nil
	}
	_, err := b.js.Consumer(ctx, events.StreamFacts, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up queue %s of %s: %w", queue, p, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queues[name] = time.Now()
	return true, nil
}

// Fill is how full a stream is, from 0 to 1.
func (b *Bus) Fill(ctx context.Context, stream string) (float64, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	info := s.CachedInfo()
	if info.Config.MaxBytes <= 0 {
		return 0, nil
	}
	return float64(info.State.Bytes) / float64(info.Config.MaxBytes), nil
}
