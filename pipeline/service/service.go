// Package service is the frame that the services' mains share: settings, a
// log, the connection to the bus, the artifact store, the routes that the
// service adds, and an orderly end on SIGINT and SIGTERM.
//
// A main gives [Main] its name and a function that wires the service:
//
//	func main() { os.Exit(service.Main("intake", wire)) }
//
// Everything a service waits for may come later than the service: NATS, the
// streams, the consumers.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/version"
)

// Service is a process that is being wired.
type Service struct {
	Settings settings.Settings
	Log      *slog.Logger
	Bus      *conn.Conn
	// Store is where artifacts lie.
	Store *artifact.Store
	// Name names this process in events.
	Name string

	receiver *delivery.Router
	beside   []func(context.Context) error
}

// Add adds a source of messages.
func (s *Service) Add(routes ...delivery.Route) {
	for _, r := range routes {
		s.receiver.Add(r)
	}
}

// Go adds work that runs beside the routes until its context ends.
func (s *Service) Go(work func(ctx context.Context) error) { s.beside = append(s.beside, work) }

// run receives messages and does what runs beside it, until ctx ends or one
// of them fails.
func (s *Service) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.receiver.Run(ctx) })
	for _, work := range s.beside {
		all.Go(func() error { return work(ctx) })
	}
	return all.Wait()
}

// Wire adds a service's routes to s.
type Wire func(ctx context.Context, s *Service) error

// Main runs a service until it is told to stop, and returns the process's
// exit status: 0 stopped, 1 an error, 2 bad settings.
func Main(name string, wire Wire) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := Run(ctx, name, os.Args[1:], os.Environ(), os.Stderr, wire)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	var faults structconf.Faults
	if errors.As(err, &faults) || errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

var errUsage = errors.New("see -help")

// Run runs a service until ctx ends. Environ holds NAME=value; the log goes
// to stderr.
func Run(ctx context.Context, name string, args, environ []string, stderr io.Writer, wire Wire) (err error) {
	cfg, err := load(name, args, environ, stderr)
	if err != nil {
		return err
	}
	log := logger(cfg.Services, stderr).With("service", name)
	b, err := conn.Connect(ctx, BusOptions(cfg.Bus, name, log))
	if err != nil {
		return stopped(ctx, err)
	}
	defer b.Close()
	store, err := OpenStore(ctx, b, cfg.Artifacts.URL)
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	receiver, err := delivery.NewRouter(b, deadletter.New(b), log)
	if err != nil {
		return err
	}
	receiver.HoldUnknownVersion = cfg.Bus.UnknownFor
	s := &Service{Settings: cfg, Log: log, Bus: b, Store: store, Name: conn.ProcessName(), receiver: receiver}
	if err := wire(ctx, s); err != nil {
		return err
	}
	log.Info("ready", "server", b.Server(), "store", store.ID(), "name", s.Name, "version", version.Current())
	err = s.run(ctx)
	log.Info("stopped")
	return err
}

// stopped is nil where an error only says that the service was told to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func load(name string, args, environ []string, stderr io.Writer) (settings.Settings, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	var files []string
	flags.Func("settings", "file with settings (TOML); several are merged in order; default $"+settings.VariableFile+", then ./"+settings.FileName,
		func(f string) error {
			files = append(files, f)
			return nil
		})
	if err := flags.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			err = fmt.Errorf("%w; %w", err, errUsage)
		}
		return settings.Settings{}, err
	}
	if flags.NArg() > 0 {
		return settings.Settings{}, fmt.Errorf("unexpected argument %q; %w", flags.Arg(0), errUsage)
	}
	if len(files) == 0 {
		files = settings.Files(environ)
	}
	cfg, err := settings.Load(files, environ)
	if err == nil && cfg.Artifacts.URL == "" {
		err = structconf.Faults{{Key: "artifacts.url", Message: "is missing; services that run apart share a store, such as s3://bucket or file:///srv/tunebus"}}
	}
	return cfg, err
}

// BusOptions are the options of a connection by the settings. The server is
// waited for.
func BusOptions(b settings.Bus, name string, log *slog.Logger) conn.Options {
	return conn.Options{
		URL: b.URL, Context: b.Context, Credentials: b.Credentials, NKey: b.NKey, CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile,
		Name: name, Logger: log,
	}
}

// OpenStore opens the artifact store at an address: jetstream://bucket on the
// bus itself, anything else as [artifact.Open] does.
func OpenStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	bucket, ok := ObjectBucket(address)
	if !ok {
		return artifact.Open(ctx, address)
	}
	objects, err := objectstore.Open(ctx, b, bucket)
	if err != nil {
		return nil, fmt.Errorf("open artifact store: %w", err)
	}
	return artifact.New(ctx, objects)
}

// ObjectBucket is the bucket that an address of the form jetstream://bucket
// names.
func ObjectBucket(address string) (string, bool) {
	bucket, ok := strings.CutPrefix(address, "jetstream://")
	return strings.TrimSuffix(bucket, "/"), ok
}

func logger(cfg settings.Services, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // one of the allowed ones, all of which it knows
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
