package bustest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestClusterWithoutLeader: where most servers of a cluster are away, the one that is left says that
// there is no leader, and it is asked again.
func TestClusterWithoutLeader(t *testing.T) {
	t.Parallel()
	conns, servers := startCluster(t)
	for _, s := range servers[:2] {
		s.Shutdown()
		s.WaitForShutdown()
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) { // a server notices after a while that it is alone
		_, err := topology.NewInspector(conns[2]).Queues(t.Context())
		if conn.IsNoLeader(err) && conn.IsUnanswered(err) {
			return
		}
		if silent, ok := errors.AsType[*conn.NoReplyError](err); ok && silent.Cluster != "test" {
			t.Errorf("%v: no name of the cluster", err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the servers are away: %v", err)
		}
	}
}
