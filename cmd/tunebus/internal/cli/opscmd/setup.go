package opscmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/layout"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/service"
)

type setupFlags struct {
	replicas int
	ackWait  time.Duration
	// queues are more queues, each phase=name.
	queues []string
	// wait is how long to wait for the server.
	wait time.Duration
}

// Setup is "tunebus setup".
func Setup(s *session.Session) *cobra.Command {
	var f setupFlags
	c := &cobra.Command{
		Use: "setup", Short: "Create the streams, buckets and consumers on a server", Args: session.NoArgs,
		Example: "  tunebus setup --server nats://nats.example:4222",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.replicas < 1 && c.Flags().Changed("replicas") {
				return exit.Input(fmt.Errorf("--replicas %d: want 1 or more", f.replicas))
			}
			cfg, err := s.Settings()
			if err != nil {
				return err
			}
			server := topology.Topology{Replicas: f.replicas, AckWait: f.ackWait}
			if server.Queues, err = addQueues(layout.Queues(cfg), f.queues); err != nil {
				return err
			}
			b, err := s.ConnectWithin(c.Context(), f.wait)
			if err != nil {
				return err
			}
			defer b.Close()
			changes, err := topology.ApplyChanges(c.Context(), b, server)
			if err != nil {
				for _, line := range view.ChangesOfSetup(changes) { // before it failed
					s.Console.Say("%s", line)
				}
				return err
			}
			if bucket, ok := service.ObjectBucket(cfg.Artifacts.URL); ok {
				if err := objectstore.Create(c.Context(), b, bucket, layout.ObjectBytes); err != nil {
					return err
				}
			}
			return s.Console.Print(view.SetUp(b.Server(), server.Queues, changes))
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.replicas, "replicas", 0, "copies of every stream and bucket; without it they keep theirs, and are new with 1")
	timeflag.WaitVar(flags, &f.ackWait, "ack-wait", 0, "how long the job of a dead worker waits for the next one; without it as it is, and 30s if new")
	flags.StringArrayVar(&f.queues, "queue", nil, "phase=name of a queue besides the usual ones")
	timeflag.WaitVar(flags, &f.wait, "wait", 0, "how long to wait for the server; 0: not at all")
	return c
}

// addQueues adds queues, each phase=name.
func addQueues(queues map[events.Phase][]string, more []string) (map[events.Phase][]string, error) {
	for _, q := range more {
		phase, name, ok := strings.Cut(q, "=")
		p := events.Phase(phase)
		if !ok || name == "" || strings.ContainsAny(name, ".*> \t") || !slices.Contains(events.Phases(), p) {
			return nil, exit.Input(fmt.Errorf("--queue %s: want phase=name, the phase one of %v, the name without dots, stars and blanks", q, events.Phases()))
		}
		if !slices.Contains(queues[p], name) {
			queues[p] = append(queues[p], name)
		}
	}
	return queues, nil
}
