package topology

import (
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Topology is the set of streams, buckets and consumers that tunebus works with.
type Topology struct {
	// Queues are the queues of each phase; each gets one durable consumer.
	Queues map[events.Phase][]string
	// Replicas of every stream and bucket. Without it those that exist keep theirs, new
	// ones get as many as the stream of facts has, and 1 where none exists.
	Replicas int
	// AckWait is how long the job of a dead worker waits until the next worker
	// gets it. Without it consumers that exist keep theirs, new ones get that of intake's
	// consumer of requests, and 30 s where none exists.
	AckWait time.Duration
	// FactBytes, RequestBytes, MetricBytes, LogBytes and DeadBytes bound the streams.
	// Defaults 4 GiB, 1 GiB, 1 GiB, 512 MiB and 256 MiB. A stream that exists keeps a limit
	// that is larger than the default, and so it is with the ages below.
	FactBytes, RequestBytes, MetricBytes, LogBytes, DeadBytes int64
	// MetricAge is how long the stream keeps metric points. Default 7 days.
	MetricAge time.Duration
	// LogAge is how long the stream keeps logs. Default 30 days.
	LogAge time.Duration
}

// logBatches is how many batches of lines the stream keeps of an attempt. The oldest
// go, so that no attempt can push the others out.
const logBatches = 2000

// Buckets of the key-value store.
const (
	BucketCheckpoints = "tunebus_checkpoints"
	// BucketRuns has a line for each run, which lists of runs are read from, see
	// package runindex.
	BucketRuns   = "tunebus_runs"
	BucketLeases = "tunebus_leases"
)

// LeaseTTL is how long a lease lives that its owner does not renew.
const LeaseTTL = 15 * time.Second

// MaxDeliver is how often the server delivers a message. It is a safety net for
// messages that end the process of their handler: workers count tries in facts,
// [delivery.Router.RetryFor] limits errors, and [delivery.RedeliveryDelay]
// spreads this many deliveries over more than a week.
const MaxDeliver = 1000

// The durable consumers of intake and of the tracker, in whose process the publisher is.
const (
	ConsumerIntake      = "intake"
	ConsumerCancel      = "intake_cancel"
	ConsumerDeadline    = "intake_deadline"
	ConsumerTracker     = "tracker"
	ConsumerMetrics     = "tracker_metrics"
	ConsumerPublisher   = "publisher"
	ConsumerDeadLetters = "intake_letters"
	ConsumerGivenUp     = "intake_given_up"
)

// JobConsumer is the name of the durable consumer of one phase and queue.
func JobConsumer(p events.Phase, queue string) string { return string(p) + "_" + queue }

// DefaultQueues has one queue for each engine that tunebus knows.
func DefaultQueues() map[events.Phase][]string {
	return map[events.Phase][]string{
		events.Finetune:   {"builtin", "trl", "unsloth", "command"},
		events.Inference:  {"builtin", "openai", "transformers"},
		events.Evaluation: {"builtin"},
	}
}

// maxDeliveriesAdvisory is the subject of the advisory that the server sends
// after the last delivery of a message; <stream>.<consumer> follows.
const maxDeliveriesAdvisory = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."

func (t Topology) withDefaults() Topology {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&t.FactBytes, 4<<30)
	def(&t.RequestBytes, 1<<30)
	def(&t.MetricBytes, 1<<30)
	def(&t.LogBytes, 512<<20)
	def(&t.DeadBytes, 256<<20)
	if t.Queues == nil {
		t.Queues = DefaultQueues()
	}
	if t.LogAge == 0 {
		t.LogAge = 30 * 24 * time.Hour
	}
	if t.MetricAge == 0 {
		t.MetricAge = 7 * 24 * time.Hour
	}
	return t
}

func (t Topology) buckets() []jetstream.KeyValueConfig {
	base := jetstream.KeyValueConfig{Replicas: t.Replicas, MaxBytes: 64 << 20, Storage: jetstream.FileStorage}
	checkpoints, runs, leases := base, base, base
	checkpoints.Bucket, checkpoints.LimitMarkerTTL = BucketCheckpoints, time.Hour
	runs.Bucket, runs.LimitMarkerTTL, runs.MaxBytes = BucketRuns, time.Hour, 256<<20 // some 500,000 runs
	// A restart of the server may forget leases, but a bucket in memory would
	// be gone altogether, and services only bind to buckets.
	leases.Bucket, leases.TTL, leases.MaxBytes = BucketLeases, LeaseTTL, 1<<20
	return []jetstream.KeyValueConfig{checkpoints, runs, leases}
}

func (t Topology) streams() []jetstream.StreamConfig {
	base := jetstream.StreamConfig{Storage: jetstream.FileStorage, Replicas: t.Replicas, AllowDirect: true, Duplicates: 10 * time.Minute}
	requests, facts, metrics, logs, dead := base, base, base, base, base

	requests.Name, requests.Subjects, requests.MaxBytes = events.StreamRequests, []string{events.TypePipelineRequested}, t.RequestBytes
	requests.Discard = jetstream.DiscardNew

	facts.Name, facts.Subjects, facts.MaxBytes = events.StreamFacts, append(events.FactSubjects(), events.RedriveFilter("*")), t.FactBytes
	facts.MaxMsgsPerSubject, facts.Discard, facts.DiscardNewPerSubject = 1, jetstream.DiscardNew, true

	metrics.Name, metrics.Subjects, metrics.MaxBytes = events.StreamMetrics, events.MetricSubjects(), t.MetricBytes
	metrics.Discard, metrics.MaxAge = jetstream.DiscardOld, t.MetricAge

	logs.Name, logs.Subjects, logs.MaxBytes = events.StreamLogs, events.LogSubjects(), t.LogBytes
	logs.Discard, logs.MaxAge, logs.MaxMsgsPerSubject = jetstream.DiscardOld, t.LogAge, logBatches

	dead.Name, dead.MaxBytes, dead.Discard = events.StreamDead, t.DeadBytes, jetstream.DiscardOld
	dead.Subjects = []string{events.DeadLetterFilter()}
	for _, s := range []string{events.StreamRequests, events.StreamFacts} {
		dead.Subjects = append(dead.Subjects, maxDeliveriesAdvisory+s+".>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."+s+".>")
	}
	return []jetstream.StreamConfig{requests, facts, metrics, logs, dead}
}

func (t Topology) consumers() map[string][]jetstream.ConsumerConfig {
	durable := func(name string, maxDeliver int, filters ...string) jetstream.ConsumerConfig {
		return jetstream.ConsumerConfig{
			Durable: name, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy, AckWait: t.AckWait,
			MaxAckPending: -1, MaxDeliver: maxDeliver, DeliverPolicy: jetstream.DeliverAllPolicy,
		}
	}
	// Each consumer of facts also takes the messages that are redriven to it.
	ofFacts := func(name string, filters ...string) jetstream.ConsumerConfig {
		return durable(name, MaxDeliver, append(filters, events.RedriveFilter(name))...)
	}
	facts := []jetstream.ConsumerConfig{
		ofFacts(ConsumerCancel, events.TypeCancelRequested+".*"),
		ofFacts(ConsumerDeadline, events.TypePipelineAccepted+".*"),
		ofFacts(ConsumerTracker, events.TrackedSubjects()...),
		ofFacts(ConsumerPublisher, events.TypePipelineCompleted+".*"),
	}
	for _, p := range slices.Sorted(maps.Keys(t.Queues)) {
		for _, q := range t.Queues[p] {
			facts = append(facts, ofFacts(JobConsumer(p, q), events.JobFilter(p, q)))
		}
	}
	return map[string][]jetstream.ConsumerConfig{
		events.StreamRequests: {durable(ConsumerIntake, MaxDeliver, events.TypePipelineRequested)},
		events.StreamFacts:    facts,
		events.StreamMetrics:  {durable(ConsumerMetrics, 5, events.MetricSubjects()...)},
		events.StreamDead: {
			durable(ConsumerDeadLetters, MaxDeliver, maxDeliveriesAdvisory+">"),
			durable(ConsumerGivenUp, MaxDeliver, events.DeadLetterFilter()),
		},
	}
}
