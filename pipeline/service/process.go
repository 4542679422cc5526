package service

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Options configure a [Process].
type Options struct {
	Settings settings.Settings
	// Sample measures the machine while a phase works. Default: no measurement.
	Sample func(context.Context) []events.Point
	// Notify receives texts for the operator. Default: warnings in the log.
	Notify func(text string)
	// Skip, if set, reports the runs on whose jobs no worker of this process
	// works. Their jobs are given back, for a later process.
	Skip func(run string) bool
	// Logger is the log of the process. Default: none.
	Logger *slog.Logger
}

// Task is work that runs until its context ends.
type Task func(ctx context.Context) error

// Process runs services on one connection to NATS and one artifact store.
type Process struct {
	bus   *conn.Conn
	store *artifact.Store
	opts  Options
	// name names this process in events.
	name string

	router  *delivery.Router
	tasks   []Task
	sources *engine.Sources // made for the first phase
	notices map[string]bool
}

// NewProcess returns a process without services. The connection and the store
// have to be closed by the caller, after [Process.Run].
func NewProcess(bus *conn.Conn, store *artifact.Store, opts Options) (*Process, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Notify == nil {
		opts.Notify = func(text string) { opts.Logger.Warn(text) }
	}
	router, err := delivery.NewRouter(bus, deadletter.New(bus), opts.Logger)
	if err != nil {
		return nil, err
	}
	if d := opts.Settings.Bus.UnknownFor; d > 0 {
		router.HoldUnknownVersion = d
	}
	if d := opts.Settings.Bus.RetryFor; d > 0 {
		router.RetryFor = d
	}
	return &Process{bus: bus, store: store, opts: opts, name: conn.ProcessName(), router: router, notices: map[string]bool{}}, nil
}

// Wire adds a service, which logs to log.
func (p *Process) Wire(log *slog.Logger, wire Wire) error {
	return wire(&Service{Settings: p.opts.Settings, Log: log, Bus: p.bus, Store: p.store, process: p})
}

// Run runs the services until ctx ends or one of them fails. Then all stop.
func (p *Process) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return p.router.Run(ctx) })
	for _, task := range p.tasks {
		all.Go(func() error { return task(ctx) })
	}
	return all.Wait()
}

// Running is closed once all consumers take messages.
func (p *Process) Running() <-chan struct{} { return p.router.Running() }

// phaseSources returns where the phases of this process find models and data.
func (p *Process) phaseSources() (engine.Sources, error) {
	if p.sources == nil {
		sources, err := Sources(p.opts.Settings, p.opts.Logger)
		if err != nil {
			return engine.Sources{}, err
		}
		p.sources = &sources
	}
	return *p.sources, nil
}

func (p *Process) notice(text string) {
	if !p.notices[text] {
		p.notices[text] = true
		p.opts.Notify(text)
	}
}
