package intake

import (
	"context"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
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
	Runs   Runs
	Logger *slog.Logger
}

// Runs reads runs. For an id that does not exist it returns the zero run.
type Runs interface {
	Run(ctx context.Context, run string) (events.Run, error)
}

// journal publishes events and the events that follow from them.
type journal interface {
	Publish(ctx context.Context, ev events.Event, fence bus.Fence) (bus.Message, error)
	Follow(ctx context.Context, stored events.Fact, run events.Run) error
}

// Service has the handlers of the service.
type Service struct {
	admission     *admission
	canceller     *canceller
	deadlines     *deadlines
	maxDeliveries bus.Route
}

// New returns a service on b.
func New(b *bus.Bus, cfg Config) *Service {
	if cfg.FullAt == 0 {
		cfg.FullAt = 0.8
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = 30 * time.Second
	}
	if cfg.CancelGrace == 0 {
		cfg.CancelGrace = time.Second
	}
	if cfg.Runs == nil {
		cfg.Runs = b
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	runs := runReader{runs: cfg.Runs, log: cfg.Logger}
	return &Service{
		admission: &admission{
			rules:      request.Rules{DataRoots: cfg.DataRoots, Store: cfg.Store, Limits: cfg.Limits},
			runs:       cfg.Runs,
			streamRuns: b,
			queues:     b,
			capacity:   &capacityGate{streams: b, fullAt: cfg.FullAt, recheck: cfg.Recheck, log: cfg.Logger},
			journal:    b,
			log:        cfg.Logger,
		},
		canceller:     &canceller{runs: runs, journal: b, grace: cfg.CancelGrace, log: cfg.Logger},
		deadlines:     &deadlines{runs: runs, journal: b},
		maxDeliveries: b.Exhausted(),
	}
}

// Routes returns the consumers of the service with their handlers. The last one
// stores a dead letter for each message that reached its delivery limit.
func (s *Service) Routes() []bus.Route {
	return []bus.Route{
		{
			Name:        "intake/requests",
			Stream:      events.StreamRequests,
			Durable:     bus.DurableIntake,
			Slots:       4,
			Handle:      s.admission.handle,
			Undecodable: s.admission.handleUndecodable,
		},
		{
			Name:    "intake/cancel",
			Stream:  events.StreamFacts,
			Durable: bus.DurableCancel,
			Slots:   2,
			Handle:  s.canceller.handle,
		},
		{
			Name:     "intake/deadline",
			Stream:   events.StreamFacts,
			Durable:  bus.DurableDeadline,
			Light:    true,
			Doorbell: true,
			Handle:   s.deadlines.handle,
		},
		s.maxDeliveries,
	}
}
