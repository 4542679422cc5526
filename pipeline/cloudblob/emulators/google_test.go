package emulators_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob"
)

// TestGoogleBackend does not run in parallel, because the driver reads the
// address of the server from the environment.
func TestGoogleBackend(t *testing.T) {
	address := freeAddress(t)
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme: "http", Host: address.IP.String(), Port: uint16(address.Port), PublicHost: address.String(), //nolint:gosec // a port
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	t.Setenv("STORAGE_EMULATOR_HOST", address.String())
	var buckets atomic.Int64
	artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend {
		name := fmt.Sprintf("bucket-%d", buckets.Add(1))
		server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: name})
		return openBucket(t, "gs://"+name)
	})
}

// freeAddress returns an address that the server can listen on. The server
// must know it before it starts, because its responses contain it.
func freeAddress(t *testing.T) *net.TCPAddr {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr)
}

func openBucket(t *testing.T, address string) artifact.Backend {
	t.Helper()
	b, err := artifact.Buckets.OpenBucket(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return artifact.BucketBackend(b)
}
