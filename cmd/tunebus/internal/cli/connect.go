package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/service"
)

// connect connects to a server that is there.
func (a *app) connect(ctx context.Context) (*conn.Conn, error) { return a.connectWithin(ctx, 0) }

// connectWithin connects to a server that is there in time.
func (a *app) connectWithin(ctx context.Context, wait time.Duration) (*conn.Conn, error) {
	s, err := a.settings(nil)
	if err != nil {
		return nil, err
	}
	o := service.BusOptions(s.Bus, "cli", a.logger())
	f := a.server
	if f.URL != "" || f.Context != "" {
		o.URL, o.Context = f.URL, f.Context
	}
	for _, over := range []struct {
		to   *string
		flag string
	}{{&o.Credentials, f.Credentials}, {&o.NKey, f.NKey}, {&o.CAFile, f.CAFile}, {&o.CertFile, f.CertFile}, {&o.KeyFile, f.KeyFile}} {
		if over.flag != "" {
			*over.to = over.flag
		}
	}
	if o.Wait = wait; wait <= 0 {
		o.Wait = -1
	}
	return conn.Connect(ctx, o)
}

// with runs a command on a connection.
func (a *app) with(do func(ctx context.Context, b *conn.Conn, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		b, err := a.connect(c.Context())
		if err != nil {
			return err
		}
		defer b.Close()
		return do(c.Context(), b, args)
	}
}

func exactlyOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return bad(fmt.Errorf("want %s", name))
		}
		return nil
	}
}
