package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// stored says where a command finds runs and their artifacts: on a running
// server, or in a data folder on which nobody runs.
type stored struct{ data, artifacts string }

func (s *stored) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.data, "data", "", "data folder of run and up, while neither runs on it; default: a running server")
	s.artifactsFlag(c)
}

// artifactsFlag is for a command that needs a running server.
func (s *stored) artifactsFlag(c *cobra.Command) {
	c.Flags().StringVar(&s.artifacts, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url, then artifacts in the data folder")
}

// room is what such a command works on.
type room struct {
	bus   *conn.Conn
	store *artifact.Store
	cfg   settings.Settings
	// server is the one on the data folder, or nil.
	server *embedded.Server
}

// close ends everything; the store may be nil.
func (r *room) close() error {
	var err error
	if r.store != nil {
		err = r.store.Close()
	}
	r.bus.Close()
	if r.server != nil {
		err = errors.Join(err, r.server.Stop())
	}
	return err
}

// on runs a command on a bus and a store.
func (a *app) on(at *stored, do func(ctx context.Context, r *room, args []string) error) func(*cobra.Command, []string) error {
	return a.looking(at, func(ctx context.Context, r *room, args []string) (err error) {
		if r.store, err = openStore(ctx, r.bus, *at, r.cfg); err != nil {
			return err
		}
		return do(ctx, r, args)
	})
}

// looking runs a command that needs the store only for what is archived, and
// opens it by then.
func (a *app) looking(at *stored, do func(ctx context.Context, r *room, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		cfg, err := a.settings(nil)
		if err != nil {
			return err
		}
		r, err := a.room(c.Context(), *at, cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.close()) }()
		return do(c.Context(), r, args)
	}
}

// room connects to the server; it opens no store yet.
func (a *app) room(ctx context.Context, at stored, cfg settings.Settings) (*room, error) {
	if at.data == "" {
		b, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		return &room{bus: b, cfg: cfg}, nil
	}
	dir := filepath.Join(at.data, "nats")
	if _, err := os.Stat(dir); err != nil {
		return nil, bad(fmt.Errorf("--data %s: no data folder of run or up", at.data))
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Logger: a.logger()})
	if err != nil {
		return nil, err
	}
	b, err := conn.Connect(ctx, conn.Options{InProcess: server, Name: "cli", Logger: a.logger(), Wait: 10 * time.Second})
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	r := &room{bus: b, cfg: cfg, server: server}
	if err := topology.Apply(ctx, b, topology.Topology{Queues: queues(cfg)}); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// find reads a run: from the stream, and from its archive where the stream
// does not hold it whole. The zero run is one that nobody knows. Beside a
// [*history.UnreadableError] it answers with what can be read.
func (r *room) find(ctx context.Context, at stored, id string) (events.Run, error) {
	if !events.ValidToken(id) {
		return events.Run{}, unknownRun(r.bus, id)
	}
	run, bad := history.New(r.bus).Run(ctx, id)
	if bad != nil && !codec.IsUndecodable(bad) || archive.Whole(run) {
		return run, bad
	}
	var err error
	if r.store == nil {
		r.store, err = openStore(ctx, r.bus, at, r.cfg)
	}
	switch {
	case err != nil && (run.Accepted != nil || bad != nil): // better than nothing
		return run, bad
	case err != nil:
		return run, fmt.Errorf("%w; whether it was archived cannot be told: %w", unknownRun(r.bus, id), err)
	}
	return archive.NewReader(r.bus, r.store).Run(ctx, id)
}

// archived lists the archived runs.
func (r *room) archived(ctx context.Context, at stored) ([]string, error) {
	if r.store == nil {
		var err error
		if r.store, err = openStore(ctx, r.bus, at, r.cfg); err != nil {
			return nil, err
		}
	}
	return archive.NewFiles(r.store).Runs(ctx)
}

// openStore opens the artifact store that the services use.
func openStore(ctx context.Context, b *conn.Conn, at stored, cfg settings.Settings) (*artifact.Store, error) {
	address := at.artifacts
	if address == "" {
		address = cfg.Artifacts.URL
	}
	if address == "" {
		data := at.data
		if data == "" {
			data = cfg.Data.Folder
		}
		dir, err := filepath.Abs(filepath.Join(data, "artifacts"))
		if err != nil {
			return nil, fmt.Errorf("artifact store: %w", err)
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, bad(fmt.Errorf("where do the artifacts lie? There is no folder %s; --artifacts, or artifacts.url of the settings, names the store that the services use", dir))
		}
		address = "file://" + filepath.ToSlash(dir)
	}
	store, err := service.OpenStore(ctx, b, address)
	if err != nil {
		return nil, bad(err)
	}
	return store, nil
}
