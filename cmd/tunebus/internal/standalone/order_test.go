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

// apart is the services of a pipeline, each with a connection of its own, as
// if they were processes.
type apart struct {
	url  string
	data string
	ws   *workshop
}

// freeAddress is an address that nobody listens on right now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a service, which waits for NATS as long as it takes.
func (a *apart) start(t *testing.T, name string) {
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
				s := tracker.New(b, store, tracker.Config{TrackingURI: "file://" + a.data + "/mlruns", Reports: a.data + "/reports", Logger: a.ws.logger()})
				return s.Routes(), s.Run
			default:
				cfg := fast(worker.Config{Phase: events.Phase(name), Scratch: a.data, Logger: a.ws.logger()})
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

func (a *apart) serve(ctx context.Context, name string, service func(*conn.Conn) ([]delivery.Route, func(context.Context) error)) error {
	b, err := conn.Connect(ctx, conn.Options{URL: a.url, Name: name, Logger: a.ws.logger()})
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := delivery.NewRouter(b, deadletter.New(b), a.ws.logger())
	if err != nil {
		return err
	}
	routes, beside := service(b)
	for _, route := range routes {
		r.Add(route)
	}
	var all sync.WaitGroup
	if beside != nil {
		all.Go(func() { _ = beside(ctx) }) // ends with ctx
	}
	defer all.Wait()
	return r.Run(ctx)
}

// TestServicesStartInAnyOrder: services first, NATS behind them, its streams
// behind that, one service once its job has been waiting, the tracker when all
// is over: the run completes and is tracked.
func TestServicesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ early, late []string }{
		{[]string{"evaluation", "tracker", "finetune", "intake"}, []string{"inference"}},
		{[]string{"intake"}, []string{"evaluation", "inference", "finetune", "tracker"}},
		{nil, []string{"tracker", "evaluation", "inference", "finetune", "intake"}},
	} {
		t.Run(strings.Join(c.early, " "), func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			a := &apart{url: "nats://" + address, data: t.TempDir(), ws: &workshop{log: &lines{}}}
			for _, name := range c.early {
				a.start(t, name)
			}
			if len(c.early) > 0 {
				eventually(t, "they wait for NATS", func() bool { return a.ws.log.says("waiting for NATS") })
			}
			a.ws.server = bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: address, RelaxedSync: true})
			a.ws.bus = a.ws.connect(t, a.url)
			if err := topology.Apply(t.Context(), a.ws.bus, topology.Topology{AckWait: ackWait}); err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(map[string]map[string]any{
				"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
				"inferencer": {"testing_data_id": "owner/data"},
			})
			if err != nil {
				t.Fatal(err)
			}
			a.ws.publish(t, events.PipelineRequested{RunID: "r", Specification: raw})
			if len(c.early) > 1 {
				a.ws.until(t, "r", "the job waits", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
			}
			for _, name := range c.late {
				a.start(t, name)
			}
			run := a.ws.until(t, "r", "the run is tracked", func(r events.Run) bool { return r.Tracked != nil })
			if run.Completed.Conclusion != events.Success || len(run.Completed.Phases) != 3 {
				t.Errorf("completed: %+v", run.Completed)
			}
		})
	}
}
