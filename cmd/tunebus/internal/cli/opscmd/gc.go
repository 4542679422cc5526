package opscmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/hubcache"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/gc"
	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/storeusers"
)

type gcFlags struct {
	at    session.Location
	grace timeflag.Age
	// store is the id of the store, from a person who knows that it is the
	// right one.
	store  string
	dryRun bool
	// hubCache collects in the cache of the Hub instead.
	hubCache bool
}

// GC is "tunebus gc".
func GC(s *session.Session) *cobra.Command {
	f := gcFlags{grace: timeflag.Age(24 * time.Hour)}
	c := &cobra.Command{
		Use: "gc", Short: "Remove the artifacts that no run refers to", Args: session.NoArgs,
		Long: `Objects of the artifact store that no run refers to, in the stream or archived,
are removed, and what writers that died left behind. Everything of a run that
goes on stays, and so does what a rerun starts from, what a request names that
is still to be decided, and whatever is younger than the grace.

A store belongs to one server: what the runs of another one refer to cannot be
seen here.

With --hub-cache the models and data sets are removed that were fetched from the
Hugging Face Hub to this machine and that no run opened within the grace. A run
that names one fetches it again.`,
		Example: "  tunebus gc --dry-run\n  tunebus gc --hub-cache --grace 7d",
	}
	inStore := s.WithStore(&f.at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error {
		return collect(ctx, s.Console, server.Bus, store, f)
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if !f.hubCache {
			return inStore(c, args)
		}
		for _, other := range []string{"store", "artifacts", "data"} {
			if c.Flags().Changed(other) {
				return exit.Input(fmt.Errorf("--hub-cache collects in the cache of this machine, and --%s names a store; leave one of them out", other))
			}
		}
		cfg, err := s.Settings()
		if err != nil {
			return err
		}
		return clearHubCache(c.Context(), s.Console, cfg, f)
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.Var(&f.grace, "grace", "how old an object has to be, such as 24h or 7d")
	flags.StringVar(&f.store, "store", "", "id of the store, to collect in one that no run refers to")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be removed")
	flags.BoolVar(&f.hubCache, "hub-cache", false, "remove what was fetched from the Hub, instead of artifacts")
	return c
}

// clearHubCache removes what was fetched from the Hub and not used within the grace.
func clearHubCache(ctx context.Context, console *view.Console, cfg settings.Settings, f gcFlags) error {
	folder, err := cachelist.Folder(cfg.Data.HubCache)
	if err != nil {
		return err
	}
	all, err := cachelist.List(ctx, folder)
	if err != nil {
		return err
	}
	removed := hubcache.Removed{Folder: folder, DryRun: f.dryRun}
	var errs []error
	for _, one := range all {
		if time.Since(one.Used) < time.Duration(f.grace) {
			removed.Kept++
			continue
		}
		if !f.dryRun {
			if err := one.Remove(); err != nil {
				errs = append(errs, fmt.Errorf("remove %s from the cache of the Hub: %w", one.Repository, err))
				continue
			}
		}
		removed.Add(one.Repository, one.Commit, one.Bytes, one.Used)
	}
	return errors.Join(append(errs, console.Print(hubcache.Result(removed)))...)
}

// collect removes what no run refers to, and prints each object as soon as it
// is removed and the sum in the end.
func collect(ctx context.Context, console *view.Console, b *conn.Conn, store *artifact.Store, f gcFlags) error {
	if f.store != "" && f.store != store.ID() {
		return exit.Input(fmt.Errorf("--store %s: this is store %s", f.store, store.ID()))
	}
	removed := []gc.Removed{}
	sum, err := gc.New(b, store, gc.Options{
		Grace:          time.Duration(f.grace),
		StoreConfirmed: f.store != "",
		DryRun:         f.dryRun,
		OnRemoved: func(one gc.Removed) {
			removed = append(removed, one)
			_ = console.PrintRow(view.RemovedObject(one)) // if stdout is closed, printing the sum fails, too
		},
	}).Run(ctx)
	if errors.Is(err, gc.ErrNoReference) {
		err = fmt.Errorf("nothing was removed from store %s: %w; if it is the right one, say so with --store %s", store.ID(), err, store.ID())
	}
	if shared, ok := errors.AsType[*storeusers.SharedError](err); ok {
		return fmt.Errorf("nothing was removed from store %s: %w; where one is gone for good, remove its object from the store", store.ID(), shared)
	}
	return errors.Join(console.Print(view.Collected(removed, sum, f.dryRun)), err)
}
