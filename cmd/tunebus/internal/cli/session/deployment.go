package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Deployment is what a command works on: a server with its streams, and the
// artifact store.
type Deployment struct {
	Bus      *conn.Conn
	Settings settings.Settings

	location Location
	// store is nil until it is asked for.
	store *artifact.Store
	// embedded is the server on a data folder, or nil.
	embedded *embedded.Server
}

// WithDeployment returns an action that works on a server. The artifact store is
// opened when the action asks for it.
func (s *Session) WithDeployment(at *Location, do func(ctx context.Context, server *Deployment, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		cfg, err := s.Settings()
		if err != nil {
			return err
		}
		server, err := s.open(c.Context(), *at, cfg)
		if err != nil {
			return err
		}
		defer func() { err = exit.Join(err, server.close()) }()
		return do(c.Context(), server, args)
	}
}

// WithStore returns an action that works on a server and its artifact store.
func (s *Session) WithStore(at *Location, do func(ctx context.Context, server *Deployment, store *artifact.Store) error) func(*cobra.Command, []string) error {
	return s.WithDeployment(at, func(ctx context.Context, server *Deployment, _ []string) error {
		store, err := server.Store(ctx)
		if err != nil {
			return err
		}
		return do(ctx, server, store)
	})
}

// open connects to the server; it opens no store yet.
func (s *Session) open(ctx context.Context, at Location, cfg settings.Settings) (*Deployment, error) {
	if at.Data == "" {
		b, err := s.Connect(ctx)
		if err == nil {
			return &Deployment{Bus: b, Settings: cfg, location: at}, nil
		}
		if at.Data = s.dataFolder(at, cfg, err); at.Data == "" {
			return nil, err
		}
		s.Console.Say("no server answers; reading the data folder %s", at.Data)
	}
	dir := filepath.Join(at.Data, "nats")
	if _, err := os.Stat(dir); err != nil {
		return nil, exit.Input(fmt.Errorf("--data %s: no data folder of run or up", at.Data))
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Logger: s.Logger()})
	if err != nil {
		return nil, err
	}
	b, err := conn.Connect(ctx, conn.Options{InProcess: server, Name: "cli", Logger: s.Logger(), Wait: 10 * time.Second})
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	out := &Deployment{Bus: b, Settings: cfg, location: at, embedded: server}
	if err := topology.Apply(ctx, b, topology.Topology{Queues: Queues(cfg)}); err != nil {
		return nil, errors.Join(err, out.close())
	}
	return out, nil
}

// dataFolder is the data folder to read where no server answered, because err
// says so and nobody named one; empty if there is none.
func (s *Session) dataFolder(at Location, cfg settings.Settings, err error) string {
	_, unreachable := errors.AsType[*conn.UnreachableError](err)
	if !at.OrDataFolder || !unreachable || s.flags.server.URL != "" || s.flags.server.Context != "" || cfg.Bus.URL != "" || os.Getenv("NATS_URL") != "" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(cfg.Data.Folder, "nats")); err != nil {
		return ""
	}
	return cfg.Data.Folder
}

// close closes everything that is open.
func (s *Deployment) close() error {
	var err error
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
// With a [*history.UnreadableError] it also returns the part that can be read.
func (s *Deployment) FindRun(ctx context.Context, id string) (events.Run, error) {
	if !events.ValidToken(id) {
		return events.Run{}, s.UnknownRun(id)
	}
	run, unreadable := history.New(s.Bus).Run(ctx, id)
	if unreadable != nil && !codec.IsUndecodable(unreadable) || archive.Whole(run) {
		return run, unreadable
	}
	reader, err := s.Archive(ctx)
	switch {
	case err != nil && (run.Accepted != nil || unreadable != nil): // a part is better than nothing
		return run, unreadable
	case err != nil:
		return run, fmt.Errorf("%w; whether it was archived cannot be told: %w", s.UnknownRun(id), err)
	}
	return reader.Run(ctx, id)
}

// UnknownRun is the error of a run that the server does not know.
func (s *Deployment) UnknownRun(id string) error {
	return exit.Input(fmt.Errorf("run %s is unknown on %s; \"tunebus runs\" lists those that it knows", id, s.Bus.Server()))
}
