// Package standalone runs all services of the pipeline in one process, on the
// embedded NATS server or on one that is there already.
package standalone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// Config says what runs and where it keeps its data.
type Config struct {
	// Data is the data folder.
	Data string
	// Artifacts is the address of the artifact store. Default: the folder
	// artifacts in Data.
	Artifacts string
	// ObjectBytes bounds the bucket where Artifacts is jetstream://bucket.
	// Default: as long as the server has room.
	ObjectBytes int64
	// Patience is how long a job asks an artifact store again that is full or
	// away. Default 1 h.
	Patience time.Duration
	// Scratch is the folder for temporary files. Default: scratch in Data.
	Scratch string
	// Listen is where clients outside of the process reach NATS, host:port;
	// empty: nobody does.
	Listen string
	// RelaxedSync makes the server fsync every two minutes instead of every
	// write.
	RelaxedSync bool
	// Engines does the work of each phase.
	Engines map[events.Phase]engine.Engine
	// Workers say how each phase's jobs are taken. Default: from the engine's
	// queue, one at a time.
	Workers map[events.Phase]settings.Worker
	// Intake configures the front desk; its roots, store and logger are set
	// here.
	Intake intake.Config
	// Sources say where models and data are found.
	Sources engine.Sources
	// Tracker configures the tracker; its logger, and the reports' folder if
	// it is empty, are set here.
	Tracker tracker.Config
	// Layout is what is set up on the server.
	Layout topology.Topology
	// UnknownFor is how long a message of an unknown version waits. Default:
	// the bus's.
	UnknownFor time.Duration
	// Sample measures the machine; nil: nobody does.
	Sample func(context.Context) []events.Point
	Logger *slog.Logger
}

// Local is all services in this process.
type Local struct {
	// Bus is a connection of the caller's own.
	Bus *conn.Conn
	// Store is where artifacts lie.
	Store  *artifact.Store
	server *embedded.Server

	cancel   context.CancelFunc
	done     chan error
	services *conn.Conn
	tracker  *tracker.Service
}

// Start starts the server and the services, and returns when they take
// messages. Stop has to be called in the end.
func Start(ctx context.Context, cfg Config) (_ *Local, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Local{done: make(chan error, 1)}
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	l.server, err = embedded.Start(ctx, embedded.Options{Dir: filepath.Join(data, "nats"), Listen: cfg.Listen, RelaxedSync: cfg.RelaxedSync, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	undo = append(undo, l.server.Stop)
	if cfg.Scratch == "" {
		cfg.Scratch = filepath.Join(data, "scratch")
	}
	if err := os.MkdirAll(cfg.Scratch, 0o750); err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	if cfg.Artifacts == "" {
		cfg.Artifacts = "file://" + filepath.ToSlash(filepath.Join(data, "artifacts"))
	}
	if l.Bus, err = connect(ctx, l.server, "client", cfg.Logger); err != nil {
		return nil, err
	}
	undo = append(undo, closing(l.Bus))
	if err = topology.Apply(ctx, l.Bus, cfg.Layout); err != nil {
		return nil, err
	}
	if bucket, ok := service.ObjectBucket(cfg.Artifacts); ok {
		if err = objectstore.Create(ctx, l.Bus, bucket, cfg.ObjectBytes); err != nil {
			return nil, err
		}
	}
	if l.Store, err = service.OpenStore(ctx, l.Bus, cfg.Artifacts); err != nil {
		return nil, err
	}
	undo = append(undo, l.Store.Close)
	if l.services, err = connect(ctx, l.server, "services", cfg.Logger); err != nil {
		return nil, err
	}
	undo = append(undo, closing(l.services))
	receiver, err := l.receiver(cfg, data)
	if err != nil {
		return nil, err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go func() {
		var beside errgroup.Group
		beside.Go(func() error { return l.tracker.Run(runCtx) })
		err := receiver.Run(runCtx)
		cancel() // the services stop together
		l.done <- errors.Join(err, beside.Wait())
	}()
	select {
	case <-receiver.Running():
		return l, nil
	case err := <-l.done:
		cancel()
		return nil, errors.Join(errors.New("the services did not start"), err)
	}
}

func connect(ctx context.Context, s *embedded.Server, name string, log *slog.Logger) (*conn.Conn, error) {
	return conn.Connect(ctx, conn.Options{InProcess: s, Name: name, Logger: log, Wait: 10 * time.Second})
}

func closing(b *conn.Conn) func() error {
	return func() error {
		b.Close()
		return nil
	}
}

// receiver wires the services to the bus.
func (l *Local) receiver(cfg Config, data string) (*delivery.Router, error) {
	r, err := delivery.NewRouter(l.services, deadletter.New(l.services), cfg.Logger)
	if err != nil {
		return nil, err
	}
	if cfg.UnknownFor > 0 {
		r.HoldUnknownVersion = cfg.UnknownFor
	}
	intakeConfig := cfg.Intake
	intakeConfig.DataRoots, intakeConfig.Store, intakeConfig.Logger = cfg.Sources.Roots, l.Store.ID(), cfg.Logger.With("service", "intake")
	intakeConfig.Runs = archive.NewReader(l.services, l.Store)
	svc := intake.New(l.services, intakeConfig)
	for _, route := range svc.Routes() {
		r.Add(route)
	}
	name := conn.ProcessName()
	for _, p := range events.Phases() {
		e, ok := cfg.Engines[p]
		if !ok {
			continue
		}
		w := worker.New(l.services, l.Store, e, worker.Config{
			Phase:            p,
			Queue:            cfg.Workers[p].Queue,
			Slots:            cfg.Workers[p].Slots,
			Grace:            cfg.Workers[p].Grace,
			MaxBackoff:       cfg.Intake.Limits.Backoff,
			StoreRetryBudget: cfg.Patience,
			Scratch:          cfg.Scratch,
			Name:             name,
			Sources:          cfg.Sources,
			Sample:           cfg.Sample,
			Logger:           cfg.Logger.With("service", string(p)),
		})
		w.Sweep()
		r.Add(w.Route())
	}
	t := cfg.Tracker
	t.UnknownFor = cmp.Or(t.UnknownFor, cfg.UnknownFor)
	if t.Reports == "" {
		t.Reports = filepath.Join(data, "reports")
	}
	t.Logger = cfg.Logger.With("service", "tracker")
	l.tracker = tracker.New(l.services, l.Store, t)
	for _, route := range l.tracker.Routes() {
		r.Add(route)
	}
	return r, nil
}

// URL is where clients outside of the process reach NATS; empty if nobody
// can.
func (l *Local) URL() string { return l.server.URL() }

// Stop stops the services, gives what they work on back, and stops the
// server. It takes some 15 seconds at most.
func (l *Local) Stop() error {
	l.cancel()
	err := <-l.done
	l.services.Close()
	l.Bus.Close()
	return errors.Join(err, l.Store.Close(), l.server.Stop())
}
