package bustest

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// StartCluster starts three nodes with JetStream in this process, and returns them.
// They may have no leader yet.
func StartCluster(t testing.TB) (servers []*server.Server) {
	t.Helper()
	const nodes = 3
	var routes []*url.URL
	var ports []int
	for range nodes { // a node has to know the routes of all of them
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().(*net.TCPAddr)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ports = append(ports, address.Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: address.String()})
	}
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(t.TempDir(), "store"), Routes: routes,
			JetStreamMaxStore: MaxStore,
			Cluster:           server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers = append(servers, s)
	}
	for _, s := range servers {
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("a node did not start")
		}
	}
	return servers
}
