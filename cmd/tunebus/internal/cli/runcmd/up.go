package runcmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/hint"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/settings"
)

type upFlags struct {
	services inprocess.Flags
	files    []string
	port     int
}

// Up is "tunebus up".
func Up(s *session.Session) *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use: "up", Short: "Run all services in this process, with NATS on a port", Args: session.NoArgs,
		Example: "  tunebus up --data team --port 4222",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.port < 0 || f.port > math.MaxUint16 {
				return exit.Input(fmt.Errorf("--port %d: want a port, 1 to %d, or 0 for any", f.port, math.MaxUint16))
			}
			cfg, err := s.Settings(f.files...)
			if err != nil {
				return err
			}
			if err := f.services.Apply(&cfg); err != nil {
				return err
			}
			if kept := f.services.Kept(); kept != "" {
				s.Console.Say("%s", kept)
			}
			for _, file := range settings.OnlySpecification(f.files) {
				s.Console.Say("note: --config %s has no effect on up: it has a specification and no settings; this starts a run with it:\n  %s",
					file, s.CommandLine("submit", "--config", file))
			}
			again := []string{"up"}
			c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
				if f.Changed {
					again = append(again, hint.Words(f)...)
				}
			})
			return stayUp(c.Context(), s, cfg, inprocess.Server{
				Listen:      fmt.Sprintf("127.0.0.1:%d", f.port),
				RelaxedSync: f.services.RelaxedSync,
			}, again)
		},
	}
	f.services.AddFlags(c)
	c.Flags().StringArrayVarP(&f.files, "config", "c", nil, "file with settings (TOML); several are merged in order")
	c.Flags().IntVar(&f.port, "port", 4222, "port of NATS; 0: any")
	return c
}

// stayUp runs the services until ctx ends.
// again are the words of the command that starts them once more.
func stayUp(ctx context.Context, s *session.Session, cfg settings.Settings, server inprocess.Server, again []string) (err error) {
	local, err := inprocess.Start(ctx, s, cfg, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inprocess.Stop(s.Console, local)) }()
	artifacts, err := inprocess.StoreAddress(cfg)
	if err != nil {
		return err
	}
	if stop, err := inprocess.Announce(localup.Up{URL: local.URL()}, cfg); err != nil {
		s.Logger().Warn("submit on this machine will not find this data folder, and upload files", "error", err)
	} else {
		defer stop()
	}
	listening, stop := context.WithCancel(ctx)
	said, err := sayNews(listening, s.Console, local.Bus)
	if err != nil {
		stop()
		return err
	}
	defer func() { stop(); <-said }()
	if err := s.Console.Print(view.Ready(local.URL(), cfg.Data.Folder, artifacts)); err != nil {
		return err
	}
	<-ctx.Done()
	s.Console.Screen().Return()
	s.Console.Say("stopping%s", goesOn(ctx, s, local.Bus, again))
	return nil
}

// goesOn says which runs have not ended, and what goes on with them; nothing if all
// have, or if it cannot be told at once.
func goesOn(ctx context.Context, s *session.Session, b *conn.Conn, again []string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	open, err := runlister.New(b).Open(ctx)
	switch {
	case err != nil || len(open) == 0:
		return ""
	case len(open) == 1:
		return fmt.Sprintf("; run %s has not ended, and this goes on with it:\n  %s", open[0], s.CommandLine(again...))
	}
	const most = 5
	names := strings.Join(open[:min(most, len(open))], ", ")
	if more := len(open) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("; the runs %s have not ended, and this goes on with them:\n  %s", names, s.CommandLine(again...))
}
