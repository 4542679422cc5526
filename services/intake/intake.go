package intake

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Config says what the front desk admits.
type Config struct {
	// DataRoots are the folders below which a bare request may name files.
	// Default: none.
	DataRoots []string
	// Store is the id of the artifact store that references have to lie in.
	Store string
	// Limits are what runs may ask for. Default: anything.
	Limits spec.Limits
	// FullAt is how full the stream of facts may be, from 0 to 1, before no
	// more runs are admitted, so that running work can finish. Default 0.8.
	FullAt float64
	// Recheck is how long a request waits then before it is looked at again.
	// Default 30 s.
	Recheck time.Duration
	// Patience is how long the holder of a job has to end it after a cancel
	// before intake ends it instead. Default 1 s.
	Patience time.Duration
	// Runs finds runs, also those that have left the stream. Default: the
	// stream alone.
	Runs   Runs
	Logger *slog.Logger
}

// Runs finds runs by their ids. One that nobody knows is the zero run.
type Runs interface {
	Run(ctx context.Context, run string) (events.Run, error)
}

// Service is the front desk.
type Service struct {
	cfg Config
	bus *conn.Conn

	mu     sync.Mutex
	looked time.Time // when filled was measured
	filled float64
}

// New returns a service on b.
func New(b *conn.Conn, cfg Config) *Service {
	if cfg.FullAt == 0 {
		cfg.FullAt = 0.8
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = 30 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Second
	}
	if cfg.Runs == nil {
		cfg.Runs = history.New(b)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, bus: b}
}

// Routes are where the service's messages come from; give them to a
// [delivery.Router].
func (s *Service) Routes() []delivery.Route {
	return []delivery.Route{
		{Name: "intake/requests", Stream: events.StreamRequests, Consumer: topology.ConsumerIntake, Slots: 4, Handle: s.Request, Undecodable: s.Undecodable},
		{Name: "intake/cancel", Stream: events.StreamFacts, Consumer: topology.ConsumerCancel, Slots: 2, Handle: s.Cancel},
		{Name: "intake/deadline", Stream: events.StreamFacts, Consumer: topology.ConsumerDeadline, Idempotent: true, SubjectOnly: true, Handle: s.Deadline},
		deadletter.New(s.bus).MaxDeliveriesRoute(),
	}
}
