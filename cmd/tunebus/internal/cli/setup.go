package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/service"
)

// objectBytes bounds a bucket for artifacts.
const objectBytes = 8 << 30

func (a *app) setupCommand() *cobra.Command {
	var l topology.Topology
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
			if err := topology.Apply(c.Context(), b, l); err != nil {
				return err
			}
			if bucket, ok := service.ObjectBucket(cfg.Artifacts.URL); ok {
				if err := objectstore.Create(c.Context(), b, bucket, objectBytes); err != nil {
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
