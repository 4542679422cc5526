package runcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
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
			cfg, err := s.Settings(f.files...)
			if err != nil {
				return err
			}
			if err := f.services.Apply(&cfg); err != nil {
				return err
			}
			return stayUp(c.Context(), s, cfg, inprocess.Server{
				Listen:      fmt.Sprintf("127.0.0.1:%d", f.port),
				RelaxedSync: f.services.RelaxedSync,
			})
		},
	}
	f.services.AddFlags(c)
	c.Flags().StringArrayVarP(&f.files, "config", "c", nil, "file with settings (TOML); several are merged in order")
	c.Flags().IntVar(&f.port, "port", 4222, "port of NATS; 0: any")
	return c
}

// stayUp runs the services until ctx ends.
func stayUp(ctx context.Context, s *session.Session, cfg settings.Settings, server inprocess.Server) (err error) {
	local, err := inprocess.Start(ctx, s, cfg, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.Stop()) }()
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
	s.Console.Say("stopping")
	return nil
}
