package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/logwarnings"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/loglimit"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Session is what a command is made with.
type Session struct {
	// Version is the program's.
	Version string
	Console *view.Console
	// Program is the word by which a person calls the program, and Command the verb of
	// this call, such as "run".
	Program, Command string

	// Where, if set, are the words that say where this command works, of the flags that a
	// command of some words has, too, and that are not among them.
	Where func(words []string) []string

	flags flags
	// found is the data folder of the process that was found and that no other rule leads to.
	found string
	// set holds the flags that every command has, with what was given.
	set *pflag.FlagSet
	// said holds what was said once.
	said map[string]bool
}

// flags are the flags that every command has.
type flags struct {
	verbose bool
	server  conn.Options
	// settings are files that are read instead of the usual one.
	settings []string
}

// New returns a session of a program of a version.
func New(version string, console *view.Console) *Session {
	return &Session{Version: version, Console: console, Program: "tunebus"}
}

// sayOnce says on the screen what a command that connects several times would repeat.
func sayOnce(s *Session, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.said[text] {
		return
	}
	if s.said == nil {
		s.said = map[string]bool{}
	}
	s.said[text] = true
	s.Console.Say("%s", text)
}

// AddFlags adds the flags that every command has.
func (s *Session) AddFlags(f *pflag.FlagSet) {
	s.set = f
	f.BoolVar(&s.Console.JSON, "json", false, "write results as JSON")
	f.BoolVarP(&s.flags.verbose, "verbose", "v", false, "log what the services do")
	f.StringArrayVar(&s.flags.settings, "settings", nil, "file with settings (TOML); default $TUNEBUS_SETTINGS, then ./tunebus.toml")
	server := &s.flags.server
	f.StringVar(&server.URL, "server", "", "NATS server; default: the settings' bus.url, $NATS_URL, nats://127.0.0.1:4222")
	f.StringVar(&server.Context, "context", "", "context of the nats command, instead of --server")
	f.StringVar(&server.Credentials, "creds", "", "credentials file for NATS")
	f.StringVar(&server.NKey, "nkey", "", "file with the seed of a NATS user's key pair")
	f.StringVar(&server.CAFile, "tls-ca", "", "certificates that the NATS server's is checked against")
	f.StringVar(&server.CertFile, "tls-cert", "", "own certificate for NATS")
	f.StringVar(&server.KeyFile, "tls-key", "", "key of the own certificate")
}

// ConnectionFlags are the names of the flags that say how to reach NATS.
func ConnectionFlags() []string {
	return []string{"server", "context", "creds", "nkey", "tls-ca", "tls-cert", "tls-key"}
}

// WhereFlags are the names of the flags that say where a command works.
func WhereFlags() []string { return append(ConnectionFlags(), "settings", "data", "artifacts") }

// Logger logs to the screen with --verbose. Without it there is no log: warnings are
// sentences.
func (s *Session) Logger() *slog.Logger {
	if !s.flags.verbose {
		return slog.New(loglimit.New(logwarnings.New(s.Console)))
	}
	return slog.New(loglimit.New(slog.NewTextHandler(s.Console.Screen(), &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: redaction.InLog})))
}

// SettingsFlags are the files that --settings names.
func (s *Session) SettingsFlags() []string { return s.flags.settings }

// SettingsFiles are the files that settings are read from: those that
// --settings names, or else the usual one.
func (s *Session) SettingsFiles() []string {
	if len(s.flags.settings) > 0 {
		return s.flags.settings
	}
	return settings.Files(os.Environ())
}

// Settings reads the settings: the settings files, and over them the files of
// a specification, which may hold settings too.
func (s *Session) Settings(specifications ...string) (settings.Settings, error) {
	files := s.SettingsFiles()
	cfg, err := settings.Load(append(files[:len(files):len(files)], specifications...), os.Environ())
	if err != nil {
		return cfg, exit.Input(fmt.Errorf("settings: %w", err))
	}
	return cfg, nil
}

// Connect connects to the server that flags and settings name.
func (s *Session) Connect(ctx context.Context) (*conn.Conn, error) { return s.ConnectWithin(ctx, 0) }

// DefaultPatience is how long a command that follows a run tries to reach a server that does
// not answer, if it has no limit of its own.
const DefaultPatience = 30 * time.Second

// connectWithRetries connects to a server that may not answer at the moment. It says so, and
// tries again for a limit; 0 is [DefaultPatience]. A server that nobody named and that is
// not there is an error at once.
func connectWithRetries(ctx context.Context, s *Session, limit time.Duration) (*conn.Conn, error) {
	b, err := s.Connect(ctx)
	unreachable, ok := errors.AsType[*conn.UnreachableError](err)
	if !ok || !unreachable.IsTemporary() || ctx.Err() != nil {
		return b, err
	}
	cfg, settingsErr := s.Settings()
	if settingsErr != nil {
		return nil, settingsErr
	}
	if limit == 0 && unreachable.IsRefused() && !s.flags.nameServer(cfg) {
		return nil, err
	}
	if limit <= 0 {
		limit = DefaultPatience
	}
	s.Console.Say("NATS at %s does not answer; trying again for %s: %v", unreachable.Server, roughly(limit), unreachable.Err)
	b, err = connectWithin(ctx, s, limit, slog.New(slog.DiscardHandler)) // what the log says is said
	if _, still := errors.AsType[*conn.UnreachableError](err); still && ctx.Err() == nil {
		err = exit.Timeout(fmt.Errorf("NATS has not answered for %s: %w", roughly(limit), err))
	}
	return b, err
}

// ConnectWithin connects to a server that may start a little later. Where nobody
// named a server and none is at the usual address, it connects to the process that works
// on the usual data folder or, where there is no such folder, to the only up on this
// machine. The error is a [*NoServicesError] if the folder is there, and nobody works on it.
func (s *Session) ConnectWithin(ctx context.Context, wait time.Duration) (*conn.Conn, error) {
	return connectWithin(ctx, s, wait, s.Logger())
}

func connectWithin(ctx context.Context, s *Session, wait time.Duration, log *slog.Logger) (*conn.Conn, error) {
	cfg, err := s.Settings()
	if err != nil {
		return nil, err
	}
	b, err := dial(ctx, s, cfg, wait, log)
	unreachable, ok := errors.AsType[*conn.UnreachableError](err)
	if !ok {
		return b, err
	}
	if s.flags.nameServer(cfg) {
		if unreachable.IsRefused() {
			err = fmt.Errorf("%w; start it there, name another one with --server, or a data folder with --data", err)
		}
		return b, err
	}
	up, found, several := findUp(cfg)
	if several != nil {
		return nil, several
	}
	if !found && isDataFolder(cfg.Data.Folder) {
		return nil, &NoServicesError{Folder: cfg.Data.Folder, Ups: ups(), Err: err}
	}
	if !found || up.Idle {
		return nil, err
	}
	sayAsked(s, cfg, unreachable.Server, up)
	return connectTo(ctx, s, up, wait)
}

// sayAsked says which process of this machine a command asks where no server answers.
func sayAsked(s *Session, cfg settings.Settings, server string, up localup.Up) {
	if _, usual := upOn([]localup.Up{up}, cfg.Data.Folder); !usual {
		s.found = up.Data
	}
	if up.IsUp() {
		sayOnce(s, "no NATS server answers at %s; this works on the up at %s, data in %s", server, up.URL, up.Data)
		return
	}
	sayOnce(s, "no NATS server answers at %s; this asks the %s that works on the data folder %s", server, up, cfg.Data.Folder)
}

// roughly is a duration for people, in whole seconds unless it is shorter.
func roughly(d time.Duration) time.Duration {
	if d < time.Second {
		return d
	}
	return d.Round(time.Second)
}

// dial connects to the server that flags and settings name.
func dial(ctx context.Context, s *Session, cfg settings.Settings, wait time.Duration, log *slog.Logger) (*conn.Conn, error) {
	o := service.BusOptions(cfg.Bus, "cli", log)
	f := s.flags.server
	if f.URL != "" || f.Context != "" {
		o.URL, o.Context = f.URL, f.Context
	}
	for _, over := range []struct {
		option *string
		flag   string
	}{
		{&o.Credentials, f.Credentials},
		{&o.NKey, f.NKey},
		{&o.CAFile, f.CAFile},
		{&o.CertFile, f.CertFile},
		{&o.KeyFile, f.KeyFile},
	} {
		if over.flag != "" {
			*over.option = over.flag
		}
	}
	if o.Wait = wait; wait <= 0 {
		o.Wait = -1
	}
	return conn.Connect(ctx, o)
}

// CheckSetUp returns an error if the server has no streams of tunebus. A server that does
// not answer is left to the command.
func CheckSetUp(ctx context.Context, s *Session, b *conn.Conn) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := history.CheckSetUp(ctx, b)
	switch {
	case errors.Is(err, history.ErrNotSetUp):
		return fmt.Errorf("the server at %s has no tunebus streams: run `%s`", b.Server(), s.CommandLine("setup"))
	case err != nil && !topology.HasJetStream(ctx, b):
		return fmt.Errorf("JetStream is off on the server at %s, so that it keeps nothing; start it with `nats-server -js`, or write \"jetstream {}\" into its configuration", b.Server())
	}
	return nil
}

// ExactlyOne wants one argument, which help calls by a name.
func ExactlyOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		err := fmt.Errorf("want one %s, but got %d", name, len(args))
		if name == Run {
			err = fmt.Errorf("%w; %s, such as \"tunebus %s last\"", err, WhatRun, c.Name())
		}
		return exit.Input(err)
	}
}

// Run is what usage calls an argument that names a run.
const Run = "RUN"

// WhatRun says what a command takes for a run.
const WhatRun = `RUN is an id that "tunebus runs" lists, the beginning of one, a name, or last`

// NoArgs wants no argument.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return exit.Input(fmt.Errorf("%s takes no argument, but got %q", c.CommandPath(), args[0]))
	}
	return nil
}
