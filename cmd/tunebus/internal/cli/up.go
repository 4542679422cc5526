package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/settings"
)

func (a *app) upCommand() *cobra.Command {
	var p place
	var port int
	var files []string
	c := &cobra.Command{
		Use: "up", Short: "Run all services in this process, with NATS on a port", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.settings(files)
			if err != nil {
				return err
			}
			if err := p.over(&cfg); err != nil {
				return err
			}
			return a.up(c.Context(), cfg, fmt.Sprintf("127.0.0.1:%d", port), p.relaxed)
		},
	}
	p.flags(c)
	c.Flags().StringArrayVarP(&files, "config", "c", nil, "file with settings (TOML); several are merged in order")
	c.Flags().IntVar(&port, "port", 4222, "port of NATS; 0: any")
	return c
}

func (a *app) up(ctx context.Context, cfg settings.Settings, listen string, relaxed bool) (err error) {
	l, err := a.start(ctx, cfg, listen, relaxed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	ready := struct {
		URL  string `json:"url"`
		Data string `json:"data"`
	}{l.URL(), cfg.Data.Folder}
	if err := a.result(ready, func(w io.Writer) { fmt.Fprintf(w, "ready: NATS at %s, data in %s\n", ready.URL, ready.Data) }); err != nil {
		return err
	}
	<-ctx.Done()
	a.say("stopping")
	return nil
}
