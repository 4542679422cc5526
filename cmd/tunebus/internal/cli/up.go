package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) upCommand() *cobra.Command {
	var p place
	var port int
	c := &cobra.Command{
		Use: "up", Short: "Run all services in this process, with NATS on a port", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if p.tracking == "" {
				p.tracking = "file:./mlruns"
			}
			p.listen = fmt.Sprintf("127.0.0.1:%d", port)
			return a.up(c.Context(), p)
		},
	}
	p.flags(c)
	c.Flags().IntVar(&port, "port", 4222, "port of NATS; 0: any")
	return c
}

func (a *app) up(ctx context.Context, p place) (err error) {
	l, err := a.start(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	ready := struct {
		URL  string `json:"url"`
		Data string `json:"data"`
	}{l.URL(), p.data}
	if err := a.result(ready, func(w io.Writer) { fmt.Fprintf(w, "ready: NATS at %s, data in %s\n", ready.URL, ready.Data) }); err != nil {
		return err
	}
	<-ctx.Done()
	a.say("stopping")
	return nil
}
