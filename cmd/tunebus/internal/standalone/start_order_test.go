package standalone_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// separateServices are the services of a pipeline, each with its own connection,
// as if they were processes.
type separateServices struct {
	url    string
	data   string
	server *testServer
}

// freeAddress returns an address on which no program listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a service. The service waits for NATS without a limit.
func (a *separateServices) start(t *testing.T, name string) {
	t.Helper()
	store := openStore(t, a.data+"/artifacts")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- a.serve(ctx, name, func(b *conn.Conn) ([]delivery.Route, func(context.Context) error) {
			switch name {
			case "intake":
				return intake.New(b, intake.Config{Store: store.ID()}).Routes(), nil
			case "tracker":
				s := tracker.New(b, store, tracker.Config{TrackingURI: "file://" + a.data + "/mlruns", Reports: a.data + "/reports", Logger: a.server.logger()})
				return s.Routes(), s.Run
			default:
				cfg := fast(worker.Config{Phase: events.Phase(name), Scratch: a.data, Logger: a.server.logger()})
				return []delivery.Route{worker.New(b, store, engine.Func(noop), cfg).Route()}, nil
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

func (a *separateServices) serve(ctx context.Context, name string, service func(*conn.Conn) ([]delivery.Route, func(context.Context) error)) error {
	b, err := conn.Connect(ctx, conn.Options{URL: a.url, Name: name, Logger: a.server.logger()})
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := delivery.NewRouter(b, deadletter.New(b), a.server.logger())
	if err != nil {
		return err
	}
	routes, background := service(b)
	for _, route := range routes {
		r.Add(route)
	}
	var all sync.WaitGroup
	if background != nil {
		all.Go(func() { _ = background(ctx) }) // ends with ctx
	}
	defer all.Wait()
	return r.Run(ctx)
}

// TestServicesStartInAnyOrder: services start before NATS, NATS before its streams,
// one service after its job was queued, the tracker after the end of the run. The
// run completes and is tracked.
func TestServicesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ early, late []string }{
		{[]string{"evaluation", "tracker", "finetune", "intake"}, []string{"inference"}},
		{[]string{"intake"}, []string{"evaluation", "inference", "finetune", "tracker"}},
		{nil, []string{"tracker", "evaluation", "inference", "finetune", "intake"}},
	} {
		t.Run("early: "+strings.Join(c.early, " "), func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			a := &separateServices{url: "nats://" + address, data: t.TempDir(), server: &testServer{log: &logBuffer{}}}
			for _, name := range c.early {
				a.start(t, name)
			}
			if len(c.early) > 0 {
				eventually(t, "they wait for NATS", func() bool { return a.server.log.hasLine("waiting for NATS") })
			}
			a.server.server = bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: address, RelaxedSync: true})
			a.server.bus = a.server.connect(t, a.url)
			if err := topology.Apply(t.Context(), a.server.bus, topology.Topology{AckWait: ackWait}); err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(map[string]map[string]any{
				"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
				"inferencer": {"testing_data_id": "owner/data"},
			})
			if err != nil {
				t.Fatal(err)
			}
			a.server.publish(t, events.PipelineRequested{RunID: "r", Specification: raw})
			if len(c.early) > 1 {
				a.server.until(t, "r", "the job waits", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
			}
			for _, name := range c.late {
				a.start(t, name)
			}
			run := a.server.until(t, "r", "the run is tracked", func(r events.Run) bool { return r.Tracked != nil })
			if run.Completed.Conclusion != events.Success || len(run.Completed.Phases) != 3 {
				t.Errorf("completed: %+v", run.Completed)
			}
		})
	}
}
