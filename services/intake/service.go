package intake

import (
	"context"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/intake/request"
)

// Config configures the service.
type Config struct {
	// DataRoots are the folders below which a request may name files.
	// Default: none.
	DataRoots []string
	// Store is the id of the artifact store that references must belong to.
	Store string
	// Local checks references to local inputs. Default: there are none.
	Local request.LocalInputs
	// Limits are the largest values that a specification may have. Default:
	// no limits.
	Limits spec.Limits
	// FullAt is the usage of the stream of facts, from 0 to 1, from which on no
	// run is admitted. Default 0.8.
	FullAt float64
	// Recheck is the redelivery delay of a request while the stream is that
	// full. Default 30 s.
	Recheck time.Duration
	// CancelGrace is the time that a worker has to end its job after a cancel
	// request. Then intake ends the job instead. Default 1 s.
	CancelGrace time.Duration
	// Runs reads runs, including archived ones. Default: only runs in the
	// stream.
	Runs Runs
	// Inputs keeps the inputs of a run that is going to be accepted. Default:
	// nothing is kept, nor looked for.
	Inputs InputReserver
	// Hold, if set, reports the requests, by their sequences, that this process leaves to a
	// later one: it neither accepts nor rejects them. It may wait, until ctx ends. Default: none.
	Hold   func(ctx context.Context, request uint64) bool
	Logger *slog.Logger
}

// Runs reads runs. For an id that does not exist it returns the zero run.
type Runs interface {
	Run(ctx context.Context, run string) (events.Run, error)
}

// InputReserver keeps the artifacts that references name from garbage collection
// until the run that needs them is accepted. The error is [artifact.ErrNotFound]
// if one is not there.
type InputReserver interface {
	Reserve(ctx context.Context, refs ...events.Reference) error
}

// noReserver reserves nothing.
type noReserver struct{}

func (noReserver) Reserve(context.Context, ...events.Reference) error { return nil }

// publisher publishes events, and the events that follow from facts.
type publisher interface {
	Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error)
	PublishNext(ctx context.Context, stored events.Fact, run events.Run) error
}

// Service has the handlers of the service.
type Service struct {
	admission     *admission
	canceller     *canceller
	deadlines     *deadlines
	givenUp       *givenUp
	hold          func(ctx context.Context, request uint64) bool
	maxDeliveries delivery.Route
}

// New returns a service on a connection.
func New(c *conn.Conn, cfg Config) *Service {
	if cfg.FullAt == 0 {
		cfg.FullAt = 0.8
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = 30 * time.Second
	}
	if cfg.CancelGrace == 0 {
		cfg.CancelGrace = time.Second
	}
	stream := history.New(c)
	if cfg.Runs == nil {
		cfg.Runs = stream
	}
	if cfg.Inputs == nil {
		cfg.Inputs = noReserver{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	runs := runReader{runs: cfg.Runs, log: cfg.Logger}
	inspector, publisher, letters := topology.NewInspector(c), journal.New(c), deadletter.New(c)
	return &Service{
		admission: &admission{
			rules:      request.Rules{DataRoots: cfg.DataRoots, Store: cfg.Store, Local: cfg.Local, Limits: cfg.Limits},
			runs:       cfg.Runs,
			streamRuns: stream,
			facts:      stream,
			queues:     inspector,
			inputs:     cfg.Inputs,
			capacity:   &capacityGate{streams: inspector, fullAt: cfg.FullAt, recheck: cfg.Recheck, log: cfg.Logger},
			publisher:  publisher,
			log:        cfg.Logger,
		},
		canceller:     &canceller{runs: runs, publisher: publisher, grace: cfg.CancelGrace, log: cfg.Logger},
		deadlines:     &deadlines{runs: runs, publisher: publisher},
		givenUp:       &givenUp{letters: letters, runs: stream, publisher: publisher, log: cfg.Logger},
		hold:          cfg.Hold,
		maxDeliveries: letters.MaxDeliveriesRoute(),
	}
}

// Routes returns the consumers of the service with their handlers. The last one
// stores a dead letter for each message that reached its delivery limit.
func (s *Service) Routes() []delivery.Route {
	return []delivery.Route{
		{
			Name:        "intake/requests",
			Stream:      events.StreamRequests,
			Consumer:    topology.ConsumerIntake,
			Slots:       4,
			Handle:      holding(s.hold, s.admission.handle),
			Undecodable: s.admission.handleUndecodable,
		},
		{
			Name:     "intake/cancel",
			Stream:   events.StreamFacts,
			Consumer: topology.ConsumerCancel,
			Slots:    2,
			Handle:   s.canceller.handle,
		},
		{
			Name:        "intake/deadline",
			Stream:      events.StreamFacts,
			Consumer:    topology.ConsumerDeadline,
			Idempotent:  true,
			SubjectOnly: true,
			Handle:      s.deadlines.handle,
		},
		{
			Name:     "intake/given up",
			Stream:   events.StreamDead,
			Consumer: topology.ConsumerGivenUp,
			Raw:      true,
			Handle:   s.givenUp.handle,
		},
		s.maxDeliveries,
	}
}
