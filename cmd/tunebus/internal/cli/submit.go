package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/service"
)

// What --wait waits for.
const (
	waitCompleted = "completed"
	waitTracked   = "tracked"
)

func (a *app) submitCommand() *cobra.Command {
	var q asked
	var d dispatch
	var k keys
	c := &cobra.Command{
		Use: "submit", Short: "Publish pipeline.requested and print the run's id", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := k.refuse(); err != nil {
				return err
			}
			if err := d.check(); err != nil {
				return err
			}
			o, err := q.order(c)
			if err != nil {
				return err
			}
			return a.dispatch(c, d, q.files, o)
		},
	}
	q.flags(c)
	k.flags(c)
	d.flags(c)
	return c
}

// dispatch says how an order is handed to a running bus.
type dispatch struct {
	store, wait string
	limit       time.Duration
}

func (d *dispatch) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.store, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url")
	f.StringVar(&d.wait, "wait", "", "wait until the run is "+waitCompleted+" or "+waitTracked)
	f.Lookup("wait").NoOptDefVal = waitCompleted
	f.DurationVar(&d.limit, "timeout", 0, "longest wait; 0: none")
}

func (d *dispatch) check() error {
	if d.wait != "" && d.wait != waitCompleted && d.wait != waitTracked {
		return bad(fmt.Errorf("--wait=%s: want %s or %s", d.wait, waitCompleted, waitTracked))
	}
	return nil
}

// dispatch uploads the files of an order, publishes its request, and waits as
// far as it is told to.
func (a *app) dispatch(c *cobra.Command, d dispatch, settings []string, o order) error {
	cfg, err := a.settings(settings)
	if err != nil {
		return err
	}
	if err := o.withoutSecrets(cfg); err != nil {
		return err
	}
	if d.store == "" {
		d.store = cfg.Artifacts.URL
	}
	if len(o.files) > 0 && d.store == "" {
		return bad(errors.New("the specification names local files: --artifacts, or artifacts.url of the settings, says where to upload them, such as file:///srv/tunebus/artifacts"))
	}
	return a.with(func(ctx context.Context, b *conn.Conn, _ []string) error { return a.submit(ctx, b, o, d) })(c, nil)
}

func (a *app) submit(ctx context.Context, b *conn.Conn, o order, d dispatch) error {
	var st *artifact.Store
	if len(o.files) > 0 {
		var err error
		if st, err = service.OpenStore(ctx, b, d.store); err != nil {
			return bad(err)
		}
		defer func() { _ = st.Close() }() // everything was verified when it was put
	}
	placed, err := o.place(ctx, b, st)
	if err != nil {
		return err
	}
	switch {
	case d.wait == "" && o.repeats != "":
		return a.repeated(ctx, b, o, placed.Sequence)
	case d.wait == "":
		return a.result(map[string]string{"run_id": o.id}, func(w io.Writer) { fmt.Fprintln(w, o.id) })
	}
	tracking := time.Duration(0)
	if d.wait == waitTracked {
		tracking = 24 * time.Hour
	}
	return a.await(ctx, b, awaited{id: o.id, request: placed.Sequence, again: o.again, tracking: tracking, limit: d.limit})
}
