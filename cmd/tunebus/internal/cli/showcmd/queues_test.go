package showcmd

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestListWithoutQueues: a list of runs does not fail where the queues cannot be listed, as in a
// cluster without a leader, and says once what it lacks. One that is ended does.
func TestListWithoutQueues(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	l := &runList{console: view.NewConsole(&bytes.Buffer{}, &screen)}
	leaderless := func(context.Context) ([]topology.Queue, error) {
		return nil, &conn.NoLeaderError{Op: conn.ListConsumers}
	}
	for range 2 {
		if err := l.readQueues(t.Context(), leaderless); err != nil || len(l.queues) > 0 {
			t.Errorf("%v, queues %v", err, l.queues)
		}
	}
	if got := screen.String(); strings.Count(got, "which runs wait for a worker is not known: list consumers: JetStream has no leader now") != 1 {
		t.Errorf("said:\n%s", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := l.readQueues(ended, leaderless); err == nil {
		t.Error("a list that is ended goes on")
	}
}
