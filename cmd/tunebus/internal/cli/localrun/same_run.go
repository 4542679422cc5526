package localrun

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// askedFor is the run that a process is asked for.
type askedFor struct {
	id            string
	specification events.Specification
}

// check refuses a run whose id is that of an unfinished one with another specification.
// One with the same is that run: whoever repeats a command that was interrupted goes on with
// it. open are the unfinished runs, and goOn is the command that goes on with them.
func (a askedFor) check(ctx context.Context, b *conn.Conn, open []string, goOn string) error {
	if !slices.Contains(open, a.id) {
		return nil
	}
	run, err := history.New(b).Run(ctx, a.id)
	if err != nil || run.Accepted == nil {
		return err
	}
	if keys := otherKeys(run.Accepted.Specification, a.specification); len(keys) > 0 {
		return exit.Input(fmt.Errorf("--run-id %s: the unfinished run of this id has another specification (%s); choose another id, or go on with that run:\n  %s",
			a.id, strings.Join(keys, ", "), goOn))
	}
	return nil
}

// otherKeys are the keys of which an accepted specification has other values than one that is
// asked for. Where a run is tracked is up to the services, as is a timeout that is left open.
func otherKeys(accepted, asked events.Specification) (keys []string) {
	has := structconf.Values(accepted)
	for i, v := range structconf.Values(asked) {
		key := v.Section + "." + v.Name
		filled := key == "mlflow.tracking_uri" || v.Name == "timeout" && v.Text == spec.Value(spec.Defaults(), key)
		if !filled && v.Text != has[i].Text {
			keys = append(keys, key)
		}
	}
	return keys
}

// goneOn is the run of the id that was asked for, if it was unfinished when this process began,
// and has ended since.
func (a askedFor) goneOn(ctx context.Context, b *conn.Conn, began time.Time) (run events.Run, ok bool, err error) {
	run, err = history.New(b).Run(ctx, a.id)
	return run, err == nil && run.Completed != nil && run.Completed.EndedAt.After(began), err
}
