package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/service"
)

// What --wait waits for.
const (
	waitCompleted = "completed"
	waitTracked   = "tracked"
)

func (a *app) submitCommand() *cobra.Command {
	var q asked
	var store, wait string
	var k keys
	var limit time.Duration
	c := &cobra.Command{
		Use: "submit", Short: "Publish pipeline.requested and print the run's id", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := k.refuse(); err != nil {
				return err
			}
			if wait != "" && wait != waitCompleted && wait != waitTracked {
				return bad(fmt.Errorf("--wait=%s: want %s or %s", wait, waitCompleted, waitTracked))
			}
			o, err := q.order(c)
			if err != nil {
				return err
			}
			cfg, err := a.settings(q.files)
			if err != nil {
				return err
			}
			if store == "" {
				store = cfg.Artifacts.URL
			}
			if len(o.files) > 0 && store == "" {
				return bad(errors.New("the specification names local files: --artifacts, or artifacts.url of the settings, says where to upload them, such as file:///srv/tunebus/artifacts"))
			}
			return a.with(func(ctx context.Context, b *bus.Bus, _ []string) error {
				return a.submit(ctx, b, o, store, wait, limit)
			})(c, nil)
		},
	}
	q.flags(c)
	k.flags(c)
	c.Flags().StringVar(&store, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url")
	c.Flags().StringVar(&wait, "wait", "", "wait until the run is "+waitCompleted+" or "+waitTracked)
	c.Flags().Lookup("wait").NoOptDefVal = waitCompleted
	c.Flags().DurationVar(&limit, "timeout", 0, "longest wait; 0: none")
	return c
}

func (a *app) submit(ctx context.Context, b *bus.Bus, o order, store, wait string, limit time.Duration) error {
	var st *artifact.Store
	if len(o.files) > 0 {
		var err error
		if st, err = service.OpenStore(ctx, b, store); err != nil {
			return bad(err)
		}
		defer func() { _ = st.Close() }() // everything was verified when it was put
	}
	placed, err := o.place(ctx, b, st)
	if err != nil {
		return err
	}
	if wait == "" {
		return a.result(map[string]string{"run_id": o.id}, func(w io.Writer) { fmt.Fprintln(w, o.id) })
	}
	tracking := time.Duration(0)
	if wait == waitTracked {
		tracking = 24 * time.Hour
	}
	return a.await(ctx, b, awaited{id: o.id, request: placed.Sequence, again: o.again, tracking: tracking, limit: limit})
}
