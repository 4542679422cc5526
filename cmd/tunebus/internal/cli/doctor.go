package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Name string `json:"name"`
	// State is "ok", "look" where something will not work as it could, or
	// "broken".
	State string `json:"state"`
	Says  string `json:"says"`
	// Do is what to do now.
	Do string `json:"do,omitempty"`
}

// line is what the finding says, on one line.
func (f finding) line() string {
	text := f.Says
	if f.Do != "" {
		text += "; " + f.Do
	}
	return strings.Join(strings.Fields(text), " ")
}

// The states of a finding.
const (
	stateOK     = "ok"
	stateLook   = "look"
	stateBroken = "broken"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look whether the server and this machine have what the services need", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.settings(nil)
			if err != nil {
				return err
			}
			found := append(a.onServer(c.Context(), cfg), here(c.Context(), cfg)...)
			if err := a.result(found, func(w io.Writer) {
				table(w, found, "STATE\tWHAT\t", func(f finding) string {
					return f.State + "\t" + f.Name + "\t" + f.line()
				})
			}); err != nil {
				return err
			}
			for _, f := range found {
				if f.State == stateBroken {
					return &statusError{exitError, errors.New("")}
				}
			}
			return nil
		},
	}
}

// onServer looks at what is on the server.
func (a *app) onServer(ctx context.Context, cfg settings.Settings) []finding {
	b, err := a.connect(ctx)
	if err != nil {
		return []finding{{"NATS", stateBroken, err.Error(), "start it, or say where it is: --server, --context"}}
	}
	defer b.Close()
	out := []finding{{"NATS", stateOK, b.Server(), ""}}
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamDead} {
		out = append(out, ofStream(ctx, b, cfg, stream))
	}
	out = append(out, ofLetters(ctx, b))
	queues, err := topology.NewInspector(b).Queues(ctx)
	if err != nil {
		return append(out, finding{"queues", stateBroken, err.Error(), ""})
	}
	for _, q := range queues {
		f := finding{fmt.Sprintf("queue %s/%s", q.Phase, q.Name), stateOK, fmt.Sprintf("jobs waiting %d, worked on %d, free slots %d", q.Waiting, q.Held, q.Idle), ""}
		if q.Unattended() {
			f.State, f.Do = stateLook, "start a worker that takes jobs from it"
		}
		out = append(out, f)
	}
	return append(out, ofStore(ctx, b, cfg))
}

func ofStream(ctx context.Context, b *conn.Conn, cfg settings.Settings, stream string) finding {
	f := finding{Name: "stream " + stream, State: stateOK}
	fill, err := topology.NewInspector(b).StreamUsage(ctx, stream)
	switch {
	case err != nil:
		f.State, f.Says, f.Do = stateBroken, err.Error(), `"tunebus setup" creates what is missing`
		return f
	case stream == events.StreamFacts && fill >= cfg.Intake.FullAt:
		f.State, f.Do = stateLook, "no new runs are admitted; raise its limit"
	}
	f.Says = fmt.Sprintf("%.1f %% full", 100*fill)
	return f
}

// ofLetters looks whether services gave messages up.
func ofLetters(ctx context.Context, b *conn.Conn) finding {
	f := finding{Name: "dead letters", State: stateOK, Says: "none"}
	n, err := deadletter.New(b).Count(ctx)
	switch {
	case err != nil:
		f.State, f.Says = stateBroken, err.Error()
	case n > 0:
		f.State, f.Says, f.Do = stateLook, fmt.Sprint(n), `"tunebus dlq list" says why`
	}
	return f
}

// ofStore looks at the store that the settings name. Without one, run and up
// keep artifacts in their data folder.
func ofStore(ctx context.Context, b *conn.Conn, cfg settings.Settings) finding {
	f := finding{Name: "artifacts", State: stateOK, Says: "in the data folder of run and up; the settings name no other store"}
	if cfg.Artifacts.URL == "" {
		return f
	}
	store, err := service.OpenStore(ctx, b, cfg.Artifacts.URL)
	if err != nil {
		f.State, f.Says, f.Do = stateBroken, err.Error(), "look at artifacts.url of the settings"
		return f
	}
	f.Says = fmt.Sprintf("%s is store %s", cfg.Artifacts.URL, store.ID())
	if err := store.Close(); err != nil {
		f.State, f.Says = stateLook, err.Error()
	}
	return f
}

// here looks at this machine and at what it reaches.
func here(ctx context.Context, cfg settings.Settings) []finding {
	mlflow := finding{Name: "MLflow", State: stateOK, Says: cfg.Tracker.TrackingURI}
	if l := trackingServer(ctx, cfg); l != nil {
		mlflow = finding{mlflow.Name, stateLook, l.why, l.goOn}
	}
	engine := finding{Name: "built-in engine", State: stateOK, Says: "uses vector instructions"}
	if !llm.SIMD {
		engine = finding{engine.Name, stateLook, "was built without vector instructions, and trains several times as slowly", "build with GOEXPERIMENT=simd, as make does"}
	}
	return []finding{mlflow, engine}
}
