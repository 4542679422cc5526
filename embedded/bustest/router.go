package bustest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// RunRouter runs a router with routes until stop is called or the test ends. Stop
// returns how long the router took to end.
func RunRouter(t testing.TB, c *conn.Conn, log *slog.Logger, routes ...delivery.Route) (stop func() time.Duration) {
	t.Helper()
	r, err := delivery.NewRouter(c, deadletter.New(c), log)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		r.Add(route)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Running()
	end := sync.OnceValue(func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(start)
	})
	t.Cleanup(func() { end() })
	return end
}
