package standalone_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
)

// plainClient is a NATS client without the packages of tunebus.
func plainClient(t *testing.T, l *standalone.Local) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
