package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/service"
)

// connect connects to a server that is there.
func (a *app) connect(ctx context.Context) (*bus.Bus, error) { return a.connectWithin(ctx, 0) }

// connectWithin connects to a server that is there in time.
func (a *app) connectWithin(ctx context.Context, wait time.Duration) (*bus.Bus, error) {
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
	return bus.Connect(ctx, o)
}

// with runs a command on a connection.
func (a *app) with(do func(ctx context.Context, b *bus.Bus, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		b, err := a.connect(c.Context())
		if err != nil {
			return err
		}
		defer b.Close()
		return do(c.Context(), b, args)
	}
}

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
			s, err := q.read(c)
			if err != nil {
				return err
			}
			files, err := q.uploads(s)
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
			if len(files) > 0 && store == "" {
				return bad(errors.New("the specification names local files: --artifacts, or artifacts.url of the settings, says where to upload them, such as file:///srv/tunebus/artifacts"))
			}
			return a.with(func(ctx context.Context, b *bus.Bus, _ []string) error {
				return a.submit(ctx, b, s, files, store, wait, limit)
			})(c, nil)
		},
	}
	q.flags(c)
	k.flags(c)
	c.Flags().StringVar(&store, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url")
	c.Flags().StringVar(&wait, "wait", "", "wait until the run has \"completed\" or is \"tracked\"")
	c.Flags().Lookup("wait").NoOptDefVal = "completed"
	c.Flags().DurationVar(&limit, "timeout", 0, "longest wait; 0: none")
	return c
}

func (a *app) submit(ctx context.Context, b *bus.Bus, s events.Specification, files map[string]string, store, wait string, limit time.Duration) error {
	id := ulid.Make().String()
	var st *artifact.Store
	if len(files) > 0 {
		var err error
		if st, err = service.OpenStore(ctx, b, store); err != nil {
			return bad(err)
		}
		defer func() { _ = st.Close() }() // everything was verified when it was put
	}
	if err := request(ctx, b, st, id, s, files); err != nil {
		return err
	}
	if wait == "" {
		return a.result(map[string]string{"run_id": id}, func(w io.Writer) { fmt.Fprintln(w, id) })
	}
	tracking := time.Duration(0)
	if wait == "tracked" {
		tracking = 24 * time.Hour
	}
	return a.await(ctx, b, id, tracking, limit)
}

// await follows a run to its end and takes its exit status over.
func (a *app) await(ctx context.Context, b *bus.Bus, id string, tracking, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &statusError{exitTimeout, fmt.Errorf("run %s did not end within %s; it goes on", id, limit)})
		defer cancel()
	}
	run, err := a.follow(ctx, b, id, tracking)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if err := a.result(summaryOf(run), func(w io.Writer) { table(w, run) }); err != nil {
		return err
	}
	return outcome(run)
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error { return a.await(ctx, b, args[0], 0, 0) }),
	}
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error {
			run, err := b.Run(ctx, args[0])
			if err != nil {
				return err
			}
			if run.Accepted == nil {
				return bad(fmt.Errorf("run %s is unknown on %s", args[0], b.Server()))
			}
			return a.result(run, func(w io.Writer) {
				fmt.Fprintf(w, "%s (%s): %s\n", run.Accepted.RunName, run.ID, run.Status())
				for _, step := range run.Accepted.Plan {
					fmt.Fprintf(w, "  %-10s %s\n", step.Phase, run.Phases[step.Phase].Status())
				}
			})
		}),
	}
}

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "List the runs", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, b *bus.Bus, _ []string) error {
			ids, err := b.RunIDs(ctx)
			if err != nil {
				return err
			}
			var list []runSummary
			for _, id := range ids {
				run, err := b.Run(ctx, id)
				if err != nil {
					return err
				}
				list = append(list, summaryOf(run))
			}
			return a.result(list, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "RUN\tNAME\tSTATUS\tSECONDS")
				for _, r := range list {
					fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\n", r.RunID, r.RunName, r.Status, r.Seconds)
				}
				_ = t.Flush() // to a person's screen
			})
		}),
	}
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel RUN", Short: "End a run as soon as it can", Args: exactlyOne("RUN"),
		RunE: a.with(func(ctx context.Context, b *bus.Bus, args []string) error {
			run, err := b.Run(ctx, args[0])
			if err != nil {
				return bad(err)
			}
			if run.Completed != nil {
				a.say("run %s has ended already: %s", args[0], run.Status())
				return nil
			}
			_, err = b.Publish(ctx, events.CancelRequested{RunID: args[0], By: "user", Reason: reason}, bus.Fence{})
			var lost *bus.LostError
			if err != nil && !errors.As(err, &lost) {
				return err
			}
			a.say("cancel requested")
			return nil
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

// objectBytes bounds a bucket for artifacts.
const objectBytes = 8 << 30

func (a *app) setupCommand() *cobra.Command {
	var l bus.Layout
	var more []string
	var wait time.Duration
	c := &cobra.Command{
		Use: "setup", Short: "Create the streams, buckets and consumers on a server", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.settings(nil)
			if err != nil {
				return err
			}
			if l.Queues, err = withQueues(queues(cfg), more); err != nil {
				return bad(err)
			}
			b, err := a.connectWithin(c.Context(), wait)
			if err != nil {
				return err
			}
			defer b.Close()
			if err := b.Setup(c.Context(), l); err != nil {
				return err
			}
			if bucket, ok := service.ObjectBucket(cfg.Artifacts.URL); ok {
				if err := b.SetupObjects(c.Context(), bucket, objectBytes); err != nil {
					return err
				}
			}
			done := map[string]any{"server": b.Server(), "queues": l.Queues}
			return a.result(done, func(w io.Writer) { fmt.Fprintf(w, "%s is set up\n", b.Server()) })
		},
	}
	f := c.Flags()
	f.IntVar(&l.Replicas, "replicas", 1, "copies of every stream")
	f.DurationVar(&l.AckWait, "ack-wait", 30*time.Second, "how long the job of a dead worker waits for the next one")
	f.StringArrayVar(&more, "queue", nil, "phase=name of a queue besides the usual ones")
	f.DurationVar(&wait, "wait", 0, "how long to wait for the server; 0: not at all")
	return c
}

// withQueues adds queues, each phase=name.
func withQueues(queues map[events.Phase][]string, more []string) (map[events.Phase][]string, error) {
	for _, q := range more {
		phase, name, ok := strings.Cut(q, "=")
		p := events.Phase(phase)
		if !ok || name == "" || strings.ContainsAny(name, ".*> \t") || !slices.Contains(events.Phases(), p) {
			return nil, fmt.Errorf("--queue %s: want phase=name, the phase one of %v, the name without dots, stars and blanks", q, events.Phases())
		}
		if !slices.Contains(queues[p], name) {
			queues[p] = append(queues[p], name)
		}
	}
	return queues, nil
}

func exactlyOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return bad(fmt.Errorf("want %s", name))
		}
		return nil
	}
}
