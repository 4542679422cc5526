package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Deployment is what a command works on: a server with its streams, and the
// artifact store.
type Deployment struct {
	Bus      *conn.Conn
	Settings settings.Settings

	location Location
	// command is a command line of this program, which works on the same server.
	command func(words ...string) string
	// store is nil until it is asked for.
	store *artifact.Store
	// folder is the data folder that the command works on, empty for a running server.
	folder string
	// embedded is the server that this process started on the folder, or nil, and
	// holding says that it has the folder.
	embedded *embedded.Server
	holding  *holding
	// named is the data folder that the person named.
	named string
	// owner is the process that the command asks, which has the folder.
	owner localup.Up
}

// WithDeployment returns an action that works on a server, or on the usual data
// folder where no server answers and none was named. The artifact store is opened
// when the action asks for it.
func (s *Session) WithDeployment(at *Location, do func(ctx context.Context, server *Deployment, args []string) error) func(*cobra.Command, []string) error {
	return with(s, at, func(ctx context.Context, at Location, cfg settings.Settings) (*Deployment, error) {
		return openOrFolder(ctx, s, at, cfg, s.Connect)
	}, do)
}

// WithReading is [Session.WithDeployment] for a command that only reads, and shows nothing before it
// has read all: a server that does not answer is asked again, see [patience.AskAgain].
func WithReading(s *Session, at *Location, read func(ctx context.Context, server *Deployment, args []string) error) func(*cobra.Command, []string) error {
	return s.WithDeployment(at, func(ctx context.Context, server *Deployment, args []string) error {
		return patience.AskAgain(ctx, s.Console, server.Bus, func() error { return read(ctx, server, args) })
	})
}

// WithPatience is [Session.WithDeployment] for a command that follows a run: a server that does not
// answer is asked again for the limit, see [ConnectToServices].
func WithPatience(s *Session, at *Location, limit *time.Duration, do func(ctx context.Context, server *Deployment, args []string) error) func(*cobra.Command, []string) error {
	return with(s, at, func(ctx context.Context, at Location, cfg settings.Settings) (*Deployment, error) {
		return openOrFolder(ctx, s, at, cfg, func(ctx context.Context) (*conn.Conn, error) { return connectWithRetries(ctx, s, *limit) })
	}, do)
}

// connector connects to the server that flags and settings name.
type connector func(ctx context.Context) (*conn.Conn, error)

// with returns an action that works on what open opens. It opens it once more, and
// begins again, if the process that it asked has ended meanwhile.
func with(
	s *Session, at *Location, open func(context.Context, Location, settings.Settings) (*Deployment, error),
	do func(ctx context.Context, server *Deployment, args []string) error,
) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := storeopening.CheckAddress(at.Artifacts); err != nil {
			return err
		}
		cfg, err := s.Settings()
		if err != nil {
			return err
		}
		for {
			server, err := open(c.Context(), *at, cfg)
			if err != nil {
				return err
			}
			server.named = at.Data
			ended, err := server.use(c.Context(), args, do)
			if !ended || c.Context().Err() != nil {
				return err
			}
			what := fmt.Sprintf("the %s that worked on the data folder %s has ended", server.owner, server.owner.Data)
			if s.Console.Out().Written() { // it cannot begin once more
				return fmt.Errorf("%s; the same command shows what came after this", what)
			}
			s.Console.Say("%s", what)
		}
	}
}

// use has a command work on what is open, and closes it. It reports whether the
// command failed because the process that it asked has ended.
func (s *Deployment) use(ctx context.Context, args []string, do func(context.Context, *Deployment, []string) error) (ended bool, err error) {
	defer func() { err = exit.Join(err, s.close()) }()
	watched, stop := s.watchOwner(ctx)
	defer stop()
	err = do(watched, s, args)
	return err != nil && errors.Is(context.Cause(watched), errOwnerEnded), err
}

// WithStore returns an action that works on a server and its artifact store, or on the
// usual data folder as [Session.WithDeployment] does.
func (s *Session) WithStore(at *Location, do func(ctx context.Context, server *Deployment, store *artifact.Store) error) func(*cobra.Command, []string) error {
	return s.WithDeployment(at, func(ctx context.Context, server *Deployment, _ []string) error {
		store, err := server.Store(ctx)
		if err != nil {
			return err
		}
		return do(ctx, server, store)
	})
}

// openOrFolder is open, on the usual data folder where no server answers and none
// was named.
func openOrFolder(ctx context.Context, s *Session, at Location, cfg settings.Settings, connect connector) (*Deployment, error) {
	if at.Data != "" || s.flags.nameServer(cfg) {
		return open(ctx, s, at, cfg, connect)
	}
	if !isDataFolder(cfg.Data.Folder) {
		server, err := open(ctx, s, at, cfg, connect)
		if _, unreachable := errors.AsType[*conn.UnreachableError](err); unreachable {
			err = fmt.Errorf("%w; and there is no data folder %s here. --server or --data says where the runs are", err, cfg.Data.Folder)
		}
		return server, err
	}
	// The folder is there, so that nobody need wait for a server.
	b, err := dial(ctx, s, cfg, 0, s.Logger())
	if err == nil {
		return onRunning(ctx, s, at, cfg, b)
	}
	unreachable, ok := errors.AsType[*conn.UnreachableError](err)
	if !ok {
		return nil, err
	}
	at.Data = cfg.Data.Folder
	server, err := openFolder(ctx, s, at, cfg)
	if err == nil && server.owner.Data != "" {
		sayAsked(s, cfg, unreachable.Server, server.owner)
	} else {
		sayOnce(s, "no NATS server answers at %s; this works on the data folder %s", unreachable.Server, at.Data)
	}
	return server, err
}

// open connects to the server, or opens the data folder that is named; it opens no
// store yet.
func open(ctx context.Context, s *Session, at Location, cfg settings.Settings, connect connector) (*Deployment, error) {
	if at.Data != "" {
		return openFolder(ctx, s, at, cfg)
	}
	b, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	return onRunning(ctx, s, at, cfg, b)
}

// onRunning works on a running server.
func onRunning(ctx context.Context, s *Session, at Location, cfg settings.Settings, b *conn.Conn) (*Deployment, error) {
	if err := CheckSetUp(ctx, s, b); err != nil {
		b.Close()
		return nil, err
	}
	return &Deployment{Bus: b, Settings: cfg, location: at, command: s.CommandLine}, nil
}

// connectionFlag is a flag of the connection that was given; empty for none.
func connectionFlag(given *pflag.FlagSet) string {
	for _, name := range ConnectionFlags() {
		if f := given.Lookup(name); f != nil && f.Changed {
			return name
		}
	}
	return ""
}

// nameServer reports whether a person said which server to use. A command then
// never works on something else.
func (f flags) nameServer(cfg settings.Settings) bool {
	return f.server.URL != "" || f.server.Context != "" || cfg.Bus.URL != "" || cfg.Bus.Context != ""
}

// storeFolder is where the server of a data folder keeps its streams.
func storeFolder(data string) string { return filepath.Join(data, "nats") }

func isDataFolder(data string) bool {
	_, err := os.Stat(storeFolder(data))
	return data != "" && err == nil
}

// Folder is the data folder that the command works on, or empty if it works on a
// running server. No service works on the runs of a data folder meanwhile.
func (s *Deployment) Folder() string {
	return s.folder
}

// DataFolder is the data folder that a command works on, also where a process of this machine
// works on its runs; empty if it is not known.
func DataFolder(s *Deployment) string {
	up, _ := localup.Find(s.Bus.Server()) // the zero value if it is no such process
	return cmp.Or(s.folder, s.owner.Data, up.Data)
}

// Name names the server, or the data folder, for people.
func (s *Deployment) Name() string {
	if folder := s.Folder(); folder != "" {
		return "the data folder " + folder
	}
	if s.owner.Data != "" {
		return "the data folder " + s.owner.Data
	}
	return s.Bus.Server()
}

// close closes everything that is open.
func (s *Deployment) close() error {
	var err error
	if s.holding != nil {
		s.holding.end()
	}
	if s.store != nil {
		err = s.store.Close()
	}
	s.Bus.Close()
	if s.embedded != nil {
		err = errors.Join(err, s.embedded.Stop())
	}
	return err
}

// Store opens the artifact store, once.
func (s *Deployment) Store(ctx context.Context) (*artifact.Store, error) {
	if s.store == nil {
		store, err := s.location.OpenStore(ctx, s.Bus, s.Settings)
		if err != nil {
			return nil, err
		}
		s.store = store
	}
	return s.store, nil
}

// Archive reads runs from the stream and the archive.
func (s *Deployment) Archive(ctx context.Context) (*archive.Reader, error) {
	store, err := s.Store(ctx)
	return archive.NewReader(s.Bus, store), err
}

// FindRun reads a run: from the stream, and from its archive if the stream
// does not hold it whole. It returns the zero run if the run does not exist.
// With a [*history.UnreadableError] it also returns the part that can be read. The
// error is a [*runwatch.DeletedError] if the run was deleted, a
// [*runwatch.RejectedError] if its request was rejected, and may be an
// [*PendingError].
func (s *Deployment) FindRun(ctx context.Context, id string) (events.Run, error) {
	if !events.ValidToken(id) { // no run has it, but a request may have asked for it
		return events.Run{}, cmp.Or(runwatch.On(s.Bus).Rejected(ctx, id), s.UnknownRun(id))
	}
	run, unreadable := history.New(s.Bus).Run(ctx, id)
	if run.Deleted != nil {
		return run, &runwatch.DeletedError{Run: *run.Deleted}
	}
	if unreadable != nil && !codec.IsUndecodable(unreadable) || archive.Whole(run) {
		return run, unreadable
	}
	reader, err := s.Archive(ctx)
	switch {
	case err != nil && (run.Accepted != nil || unreadable != nil): // a part is better than nothing
		return run, unreadable
	case err != nil:
		if rejected := runwatch.On(s.Bus).Rejected(ctx, id); rejected != nil {
			return run, rejected
		}
		unknown := s.UnknownOrPending(ctx, id)
		if _, waits := errors.AsType[*PendingError](unknown); waits {
			return run, unknown
		}
		return run, fmt.Errorf("%w; whether it was archived cannot be told: %w", unknown, err)
	}
	if run, err = reader.Run(ctx, id); err == nil && run.Accepted == nil {
		err = runwatch.On(s.Bus).Rejected(ctx, id)
	}
	return run, err
}

// FindRepeatable reads a run that is repeated or written again. The error says that there
// is none: it was deleted, its request was rejected, or a data folder does not know it. A run
// that a server does not know may have been requested a moment ago; it is the zero run, as
// is one that cannot be read.
func (s *Deployment) FindRepeatable(ctx context.Context, id string) (events.Run, error) {
	run, err := s.FindRun(ctx, id)
	switch {
	case isGone(err):
		return run, err
	case err != nil:
		return events.Run{}, nil
	case run.Accepted == nil && s.Folder() != "":
		return run, s.UnknownRun(id)
	}
	return run, nil
}

// isGone reports whether an error of FindRun says that there is no run any more, or
// that there never was one.
func isGone(err error) bool {
	_, deleted := errors.AsType[*runwatch.DeletedError](err)
	_, rejected := errors.AsType[*runwatch.RejectedError](err)
	return deleted || rejected
}

// UnknownRun is the error of a run that the server does not know.
func (s *Deployment) UnknownRun(id string) error {
	if !events.ValidToken(id) { // it may hold anything
		id = strconv.Quote(id)
	}
	return exit.Input(fmt.Errorf("run %s is unknown on %s; \"tunebus runs\" lists those that it knows", id, s.Name()))
}

// Taken reports whether there is a file or folder of a name in the working folder.
func Taken(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// Repeat holds the command that repeats a run on the same server or data folder.
func (s *Session) Repeat(server *Deployment, run string) runsummary.Retry {
	on := s.OnRun()
	if folder := cmp.Or(server.Folder(), server.named); folder != "" && !slices.Contains(on, "--data") {
		on = append(on, "--data", folder)
	}
	command := s.Program + " " + shellquote.Join(append([]string{"rerun", run}, on...)...)
	return runsummary.Retry{Program: s.Program, Command: command, Rerun: command, On: on, Taken: Taken}
}
