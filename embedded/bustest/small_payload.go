package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// MaxStore is what test servers may store, in bytes. Without it a server takes a
// share of the free disk, and all streams together may ask for more than that.
const MaxStore = 16 << 30

// StartWithMaxPayload starts a server that takes messages of at most maxPayload
// bytes, and returns its address. The server stops when the test ends.
func StartWithMaxPayload(t testing.TB, maxPayload int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), MaxPayload: maxPayload,
		JetStreamMaxStore: MaxStore,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not become ready")
	}
	return s.ClientURL()
}
