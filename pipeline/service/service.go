// Package service runs the services of the pipeline in a process: settings, a
// log, the connection to NATS, the artifact store, the consumers of each
// service, and a bounded shutdown on SIGINT and SIGTERM.
//
// Each service has a function Wire that adds its consumers to a [Service]. A
// program of its own gives it to [Main]:
//
//	func main() { os.Exit(service.Main("intake", intake.Wire)) }
//
// A program that runs several services in one process gives each to
// [Process.Wire]. What a service consists of is said in its Wire alone.
//
// A service may start before NATS, its streams and its consumers exist: it
// waits for them.
package service

import (
	"log/slog"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// Service is a service that is being added to a process.
type Service struct {
	Settings settings.Settings
	Log      *slog.Logger
	Bus      *conn.Conn
	// Store is the artifact store.
	Store *artifact.Store
	// Inputs is the data folder whose local inputs the service may open, or nil.
	Inputs *localinput.Folder

	process *Process
}

// Wire adds the consumers and tasks of a service. It only reads the settings
// and does no I/O, but for the scratch folder of a worker, so its errors are
// faults of the settings.
type Wire func(s *Service) error

// Add adds consumers.
func (s *Service) Add(routes ...delivery.Route) {
	for _, r := range routes {
		s.process.router.Add(r)
	}
}

// Go adds a task that runs beside the consumers until its context ends.
func (s *Service) Go(task Task) { s.process.tasks = append(s.process.tasks, task) }

// Notify tells the operator something about this program, such as how it was
// built. A text that several services of a process share is said once.
func (s *Service) Notify(text string) { s.process.notice(text) }

// AddPhase adds the worker of a phase, as the settings of the phase say. Its
// engine appears in the facts of a run under the name that specifications call
// it by, such as [engine.Builtin].
func (s *Service) AddPhase(p events.Phase, name string, e engine.Engine) error {
	sources, err := s.process.phaseSources()
	if err != nil {
		return err
	}
	cfg := s.Settings.Worker(p)
	w := worker.New(s.Bus, s.Store, e, worker.Config{
		Phase:            p,
		Engine:           name,
		Queue:            cfg.Queue,
		Slots:            cfg.Slots,
		Grace:            cfg.Grace,
		MaxBackoff:       s.Settings.Limits.Backoff,
		StoreRetryBudget: s.Settings.Artifacts.Patience,
		Stall:            s.Settings.Stall(p),
		Sources:          sources,
		Scratch:          s.Settings.Data.Scratch,
		ModelCache:       cfg.ModelCache,
		Name:             s.process.name,
		Sample:           s.process.opts.Sample,
		Logger:           s.Log,
	})
	if err := w.PrepareScratch(); err != nil {
		return structconf.Faults{{Key: "data.scratch", Message: err.Error()}}
	}
	w.Sweep()
	route := w.Route()
	if skip := s.process.opts.Skip; skip != nil {
		route.Handle = skipping(skip, route.Handle)
	}
	s.Add(route)
	return nil
}
