package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

func (a *app) rerunCommand() *cobra.Command {
	var q asked
	var d dispatch
	var from string
	c := &cobra.Command{
		Use: "rerun RUN", Short: "Start a new run that uses again what an old one made", Args: exactlyOne("RUN"),
		Long: `Starts a new run with the specification of an old one, and with what --config
and --set say over it. It begins at the phase that --from names and uses again
what the old run made before that.

Without --from it begins at the first phase that did not succeed or that a
change concerns, and repeats everything where there is neither. A change to a
phase that is not repeated is refused.`,
		Example: "  tunebus rerun RUN --from inference --set inferencer.temperature=0",
		RunE: func(c *cobra.Command, args []string) error {
			p := events.Phase(from)
			if from != "" && !p.Valid() {
				return bad(fmt.Errorf("--from %s: want one of %v", from, events.Phases()))
			}
			if !events.ValidToken(args[0]) {
				return bad(fmt.Errorf("run %q: a run id has 1 to 64 letters, digits, \"_\" and \"-\"", args[0]))
			}
			if err := d.check(); err != nil {
				return err
			}
			o, err := q.repetition(c, args[0], p)
			if err != nil {
				return err
			}
			return a.dispatch(c, d, q.files, o)
		},
	}
	c.Flags().StringVar(&from, "from", "", "phase to begin at: finetune, inference or evaluation; default: the first that has anything new to do")
	q.flags(c)
	d.flags(c)
	return c
}

// answerWithin is how long a command waits for the front desk's word on a
// request that it published.
const answerWithin = 10 * time.Second

// repeatedRun is a run that repeats another one, for scripts.
type repeatedRun struct {
	RunID   string         `json:"run_id"`
	RerunOf string         `json:"rerun_of"`
	From    events.Phase   `json:"from,omitempty"`
	Phases  []events.Phase `json:"phases,omitempty"`
}

// repeated waits for the word on a repetition, and tells the new run's id.
// What cannot be repeated is an error here and now.
func (a *app) repeated(ctx context.Context, b *conn.Conn, o order, request uint64) error {
	accepted, err := answer(ctx, b, o.id, request)
	if err != nil {
		return err
	}
	r := repeatedRun{RunID: o.id, RerunOf: o.repeats, From: o.from}
	if accepted == nil {
		a.say("nobody has looked at the request within %s; it is stored and waits for intake: tunebus watch %s", answerWithin, o.id)
	} else {
		r.Phases = phasesOf(accepted.Plan)
		r.From = r.Phases[0]
		a.say("run %s repeats %s from %s on", accepted.RunName, o.repeats, r.From)
	}
	return a.result(r, func(w io.Writer) { fmt.Fprintln(w, o.id) })
}

func phasesOf(plan []events.Step) []events.Phase {
	out := make([]events.Phase, len(plan))
	for i, step := range plan {
		out[i] = step.Phase
	}
	return out
}

// answer waits until a request is accepted or rejected; nil if nobody says
// so in time.
func answer(ctx context.Context, b *conn.Conn, id string, request uint64) (*events.PipelineAccepted, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	subjects := []string{events.PipelineAccepted{RunID: id}.Subject(), events.PipelineRejected{RequestSequence: request}.Subject()}
	bell, err := wakeup.Watch(ctx, b, subjects...)
	if err != nil {
		return nil, err
	}
	look := time.NewTicker(time.Second) // a doorbell may stay silent
	defer look.Stop()
	for {
		for _, subject := range subjects {
			m, err := history.New(b).Latest(ctx, subject)
			switch {
			case errors.Is(err, history.ErrNotFound):
				continue
			case ctx.Err() != nil:
				return nil, late(ctx)
			case err != nil:
				return nil, err
			}
			if accepted, ok := m.Event.(events.PipelineAccepted); ok && accepted.Lineage.RequestSequence == request {
				return &accepted, nil
			}
			if err := rejected(ctx, b, id, request); err != nil {
				return nil, err
			}
		}
		select {
		case <-bell:
		case <-look.C:
		case <-ctx.Done():
			return nil, late(ctx)
		}
	}
}

// late is no error where only the answer did not come in time.
func late(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}
