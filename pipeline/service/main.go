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
	"syscall"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/hostmetrics"
	"github.com/tunebus/tunebus/pipeline/loglimit"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/version"
)

// Main runs a service until SIGINT or SIGTERM, and returns the process's
// exit status: 0 stopped, 1 an error, 2 bad settings.
func Main(name string, wire Wire) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, name, os.Args[1:], os.Environ(), os.Stderr, wire)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, redaction.Addresses(err.Error()))
	var faults structconf.Faults
	if errors.As(err, &faults) || errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

var errUsage = errors.New("see -help")

// run runs a service until ctx ends. Environ holds NAME=value; the log goes
// to stderr.
func run(ctx context.Context, name string, args, environ []string, stderr io.Writer, wire Wire) (err error) {
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
	if err := register(ctx, b, store, cfg.Artifacts.URL); err != nil { // of a service that may only read, or whose streams are not there yet
		log.Debug("the artifact store does not know yet that this server's services use it", "error", err)
	}
	p, err := NewProcess(b, store, Options{Settings: cfg, Sample: hostmetrics.New(ctx).Sample, Logger: log})
	if err != nil {
		return err
	}
	if err := p.Wire(log, wire); err != nil {
		return err
	}
	log.Info("ready", "server", b.Server(), "store", store.ID(), "name", p.name, "version", version.Current())
	err = p.Run(ctx)
	log.Info("stopped")
	return err
}

// stopped returns nil for an error that came from the stop of the service.
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

func logger(cfg settings.Services, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // one of the allowed ones, all of which it knows
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: redaction.InLog}
	if cfg.LogFormat == "json" {
		return slog.New(loglimit.New(slog.NewJSONHandler(w, opts)))
	}
	return slog.New(loglimit.New(slog.NewTextHandler(w, opts)))
}
