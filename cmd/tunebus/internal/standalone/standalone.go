// Package standalone runs all services in one process, on an embedded NATS
// server, for "tunebus run", "tunebus up" and tests.
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

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/storeusers"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// Config configures the services and their data folder.
type Config struct {
	// Settings are the settings of the services and of the artifact store, in
	// a data folder of their own. Defaults that differ from package settings:
	// Artifacts.URL is the folder artifacts in the data folder, Data.Scratch the
	// folder scratch, and Tracker.Reports the folder reports.
	Settings settings.Settings
	// ObjectBytes limits the bucket of an artifact store jetstream://bucket.
	// Default: the server's space.
	ObjectBytes int64
	// Listen is the address, host:port, at which clients outside the process
	// reach NATS. Default: none.
	Listen string
	// Token is what these clients have to present. Default: nothing.
	Token string
	// RelaxedSync makes the server fsync every two minutes instead of at every
	// write.
	RelaxedSync bool
	// Topology is applied to the server.
	Topology topology.Topology
	// Engines, if set, replace the engines of the phases. A phase without an
	// engine has no worker.
	Engines map[events.Phase]engine.Engine
	// Trainers are the commands of further engines of fine-tuning, by the names of the
	// engines. Each gets a worker of its own beside that of the settings.
	Trainers map[string][]string
	// Tracker, if set, edits the tracker's configuration. Tests shorten its
	// delays.
	Tracker func(*tracker.Config)
	// Sample measures the machine. Default: no measurement.
	Sample func(context.Context) []events.Point
	// Skip, if set, reports the runs on whose jobs no worker works.
	Skip func(run string) bool
	// Hold, if set, reports the requests, by their sequences, that intake leaves to a later
	// process.
	Hold func(ctx context.Context, request uint64) bool
	// OpenStore opens the artifact store. Default: [service.OpenStore].
	OpenStore func(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error)
	// Notify receives texts for the operator. Default: warnings in the log.
	Notify func(text string)
	Logger *slog.Logger
}

// withDefaults completes the configuration, for the data folder data.
func (c Config) withDefaults(data string) Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OpenStore == nil {
		c.OpenStore = service.OpenStore
	}
	s := &c.Settings
	s.Artifacts.URL = cmp.Or(s.Artifacts.URL, folderaddress.Of(filepath.Join(data, "artifacts")))
	s.Data.Scratch = cmp.Or(s.Data.Scratch, filepath.Join(data, "scratch"))
	s.Tracker.Reports = cmp.Or(s.Tracker.Reports, filepath.Join(data, "reports"))
	edit := c.Tracker
	c.Tracker = func(t *tracker.Config) {
		t.DataFolder = data
		if edit != nil {
			edit(t)
		}
	}
	return c
}

// services returns the services by their names in the log.
func (c Config) services() map[string]service.Wire {
	all := map[string]service.Wire{
		"intake":                  intake.WireHolding(c.Hold),
		string(events.Finetune):   finetune.Wire,
		string(events.Inference):  inference.Wire,
		string(events.Evaluation): evaluation.Wire,
		"tracker":                 tracker.WireWith(c.Tracker),
	}
	if c.Engines == nil {
		for name, command := range c.Trainers {
			all[string(events.Finetune)+"/"+name] = finetune.WireEngine(name, command)
		}
		return all
	}
	for _, p := range events.Phases() {
		delete(all, string(p))
		if e, ok := c.Engines[p]; ok {
			all[string(p)] = func(s *service.Service) error { return s.AddPhase(p, engine.Builtin, e) }
		}
	}
	return all
}

// The names of the connections of this process.
const (
	clientName   = "client"
	servicesName = "services"
)

// inProcess are the names of connections that live and end with the server of a data
// folder: those of this package, and that of a command which opens the folder.
var inProcess = []string{clientName, servicesName, "cli"}

// Local is all services in this process.
type Local struct {
	// Bus is a connection of the caller's own.
	Bus *conn.Conn
	// Store is where artifacts lie.
	Store *artifact.Store
	// Inputs is the data folder, which knows the inputs that stay where they lie.
	Inputs *localinput.Folder
	server *embedded.Server

	cancel   context.CancelFunc
	done     chan error
	services *conn.Conn
}

// Start starts the server and the services, and returns when they take
// messages. Stop has to be called in the end.
func Start(ctx context.Context, cfg Config) (_ *Local, err error) {
	data, err := filepath.Abs(cfg.Settings.Data.Folder)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	cfg = cfg.withDefaults(data)
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
	l.server, err = embedded.Start(ctx, embedded.Options{Dir: filepath.Join(data, "nats"), Listen: cfg.Listen, Token: cfg.Token, RelaxedSync: cfg.RelaxedSync, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	undo = append(undo, l.server.Stop)
	if l.Inputs, err = localinput.Open(data); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Settings.Data.Scratch, 0o750); err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	if l.Bus, err = connect(ctx, l.server, clientName, cfg.Logger); err != nil {
		return nil, err
	}
	undo = append(undo, closing(l.Bus))
	if err = topology.Apply(ctx, l.Bus, cfg.Topology); err != nil {
		return nil, err
	}
	if err = lease.DropAbandoned(ctx, l.Bus, inProcess...); err != nil {
		return nil, err
	}
	if bucket, ok := service.ObjectBucket(cfg.Settings.Artifacts.URL); ok {
		if err = objectstore.Create(ctx, l.Bus, bucket, cfg.ObjectBytes); err != nil {
			return nil, err
		}
	}
	if l.Store, err = cfg.OpenStore(ctx, l.Bus, cfg.Settings.Artifacts.URL); err != nil {
		return nil, err
	}
	undo = append(undo, l.Store.Close)
	if err = register(ctx, l.Bus, l.Store, cfg.Settings.Artifacts.URL, data); err != nil {
		return nil, err
	}
	if l.services, err = connect(ctx, l.server, servicesName, cfg.Logger); err != nil {
		return nil, err
	}
	undo = append(undo, closing(l.services))
	process, err := l.wire(cfg)
	if err != nil {
		return nil, err
	}
	// Whoever waits for the start watches it; the services are no part of that.
	runCtx, cancel := context.WithCancel(progress.With(context.WithoutCancel(ctx), nil))
	l.cancel = cancel
	go func() { l.done <- process.Run(runCtx) }()
	select {
	case <-process.Running():
		return l, nil
	case err := <-l.done:
		cancel()
		return nil, errors.Join(errors.New("the services did not start"), err)
	}
}

// register says in an artifact store outside the data folder who uses it: nobody else may remove
// what the runs here refer to.
func register(ctx context.Context, b *conn.Conn, store *artifact.Store, address, data string) error {
	if _, ok := service.ObjectBucket(address); ok { // it is in the data folder
		return nil
	}
	if folderaddress.Is(address) {
		folder, err := folderaddress.Folder(address)
		if err != nil {
			return err
		}
		if below, err := filepath.Rel(data, folder); err == nil && filepath.IsLocal(below) {
			return nil
		}
	}
	me, err := storeusers.Of(ctx, b)
	if err != nil {
		return err
	}
	me.Host, me.Folder = storeusers.Host(), data
	return storeusers.Register(ctx, store, me)
}

// wire adds the services to this process.
func (l *Local) wire(cfg Config) (*service.Process, error) {
	p, err := service.NewProcess(l.services, l.Store, service.Options{
		Settings: cfg.Settings, Inputs: l.Inputs, Sample: cfg.Sample, Skip: cfg.Skip, Notify: cfg.Notify, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	for name, wire := range cfg.services() {
		if err := p.Wire(cfg.Logger.With("service", name), wire); err != nil {
			return nil, err
		}
	}
	return p, nil
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

// URL is the address of NATS for clients outside the process; empty if there is
// none.
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
