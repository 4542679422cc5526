package opscmd_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that are left behind; of a cluster the servers leave their clock, and
// the timers of streams whose copies changed.
func TestMain(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(server+"/ats.Register.func1"), goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"))
}
