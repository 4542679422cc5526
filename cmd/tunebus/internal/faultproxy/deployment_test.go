package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// ackWait is how long the job of a dead worker waits here.
const ackWait = 2 * time.Second

// bucket is where the artifacts lie: in NATS, so that they go through the
// proxies as well.
const bucket = "artifacts"

// The processes of a deployment, each with a connection and a proxy of its own.
const (
	person            = "person" // who types commands
	intakeProcess     = "intake"
	finetuneProcess   = "finetune"
	successor         = "finetune_2" // takes over from the first
	inferenceProcess  = "inference"
	evaluationProcess = "evaluation"
	trackerProcess    = "tracker"
)

// processes are all of them.
func processes() []string {
	return []string{person, intakeProcess, finetuneProcess, successor, inferenceProcess, evaluationProcess, trackerProcess}
}

// wires say what each process runs.
func wires() map[string]service.Wire {
	phase := func(p events.Phase, e engine.Func) service.Wire {
		return func(s *service.Service) error { return s.AddPhase(p, engine.Builtin, e) }
	}
	return map[string]service.Wire{
		intakeProcess:     intake.Wire,
		finetuneProcess:   phase(events.Finetune, lostWorker),
		successor:         phase(events.Finetune, survivor),
		inferenceProcess:  phase(events.Inference, survivor),
		evaluationProcess: phase(events.Evaluation, survivor),
		trackerProcess:    tracker.WireWith(func(c *tracker.Config) { c.QuietPeriod, c.Retry = 200*time.Millisecond, time.Second }),
	}
}

// deployment is a NATS server and the processes around it.
type deployment struct {
	dir     string
	server  *embedded.Server
	proxies map[string]*bustest.FaultProxy
	js      jetstream.JetStream // past the proxies
	state   snapshot.State
	log     *logBuffer
	stop    map[string]func()
}

// deploy starts a server and the proxies. The fault is that of one process.
func deploy(t *testing.T, process string, fault bustest.Fault) *deployment {
	t.Helper()
	d := &deployment{
		dir:     t.TempDir(),
		server:  bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}),
		proxies: map[string]*bustest.FaultProxy{},
		state:   snapshot.State{Ends: map[string][]events.Conclusion{}},
		log:     &logBuffer{},
		stop:    map[string]func(){},
	}
	for _, name := range processes() {
		f := bustest.Fault{}
		if name == process {
			f = fault
		}
		d.proxies[name] = bustest.NewFaultProxy(t, d.server.URL(), f)
		d.writeSettings(t, name)
	}
	nc, err := nats.Connect(d.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if d.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", d.log)
		}
	})
	return d
}

func (d *deployment) in(name string) string { return filepath.Join(d.dir, name) }

// writeSettings writes the settings of a process.
func (d *deployment) writeSettings(t *testing.T, name string) {
	t.Helper()
	text := fmt.Sprintf(`[bus]
url = %q
[artifacts]
url = "jetstream://%s"
[data]
folder = %q
scratch = %q
[services.intake]
patience = "1s"
[services.finetune]
slots = 5
grace = "2s"
[services.tracker]
tracking_uri = "file:%s"
reports = %q
`, d.proxies[name].URL, bucket, d.in("data"), d.in("scratch"), d.in("mlruns"), d.in("reports"))
	if err := errors.Join(os.MkdirAll(d.in("scratch"), 0o750), os.WriteFile(d.in(name+".toml"), []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// start starts a process of services. It ends with the test, or with stop.
func (d *deployment) start(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.serve(ctx, name) }()
	d.stop[name] = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(d.stop[name])
}

// serve is what the program of a service does.
func (d *deployment) serve(ctx context.Context, name string) (err error) {
	cfg, err := settings.Load([]string{d.in(name + ".toml")}, nil)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.log, nil)).With("process", name)
	b, err := conn.Connect(ctx, service.BusOptions(cfg.Bus, name, log))
	if err != nil {
		return err
	}
	defer b.Close()
	store, err := service.OpenStore(ctx, b, cfg.Artifacts.URL)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	p, err := service.NewProcess(b, store, service.Options{Settings: cfg, Logger: log})
	if err != nil {
		return err
	}
	if err := p.Wire(log, wires()[name]); err != nil {
		return err
	}
	return p.Run(ctx)
}

// command runs a command of the person and returns its exit status.
func (d *deployment) command(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	var o, e bytes.Buffer
	args = append(args, "--settings", d.in(person+".toml"))
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	status = cli.Main(ctx, args, &o, &e)
	_, _ = fmt.Fprintf(d.log, "tunebus %s: status %d after %s\n%s%s", strings.Join(args, " "), status, time.Since(begin).Round(time.Millisecond), o.String()[:min(o.Len(), 500)], e.String())
	return status, o.String()
}

// must runs a command that has to end with a status. A person whose connection
// broke types it once more.
func (d *deployment) must(t *testing.T, want int, args ...string) string {
	t.Helper()
	struck := d.proxies[person].Struck()
	status, out := d.command(t, args...)
	if status == 1 && !struck && d.proxies[person].Struck() {
		status, out = d.command(t, args...)
	}
	if status != want {
		t.Fatalf("tunebus %s: status %d, want %d", strings.Join(args, " "), status, want)
	}
	return out
}

// eventually waits for a condition.
func (d *deployment) eventually(t *testing.T, what string, ok func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s: %v", limit, what, last)
		}
	}
}

// subjects are those of a stream that match a filter.
func (d *deployment) subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	s, err := d.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// atRest is nil once every request is answered, every run tracked, every message
// settled and every lease given back.
func (d *deployment) atRest(ctx context.Context) error {
	count := map[string]int{}
	for _, typ := range []string{events.TypePipelineAccepted, events.TypePipelineRejected, events.TypePipelineCompleted, events.TypeTrackingCompleted} {
		found, err := d.subjects(ctx, events.StreamFacts, typ+".*")
		if err != nil {
			return err
		}
		count[typ] = len(found)
	}
	requests, err := d.subjects(ctx, events.StreamRequests, ">")
	if err != nil {
		return err
	}
	if n := int(requests[events.TypePipelineRequested]); n != count[events.TypePipelineAccepted]+count[events.TypePipelineRejected] || //nolint:gosec // a count
		count[events.TypePipelineAccepted] != count[events.TypeTrackingCompleted] {
		return fmt.Errorf("%d requests, %v", n, count)
	}
	if err := d.settled(ctx); err != nil {
		return err
	}
	for _, name := range []string{"tunebus_leases", "tunebus_checkpoints"} {
		kv, err := d.js.KeyValue(ctx, name)
		if err != nil {
			return err
		}
		keys, err := kv.ListKeys(ctx)
		if err != nil {
			return err
		}
		for key := range keys.Keys() {
			if key != indexLease {
				return fmt.Errorf("%s is in %s", key, name)
			}
		}
	}
	return nil
}

// settled is nil if no consumer has a message that waits for it, or is not settled.
func (d *deployment) settled(ctx context.Context) error {
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamLogs, events.StreamDead} {
		s, err := d.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		consumers := s.ListConsumers(ctx)
		for i := range consumers.Info() {
			if i.NumPending > 0 || i.NumAckPending > 0 {
				return fmt.Errorf("%s of %s has %d messages waiting and %d unsettled", i.Name, stream, i.NumPending, i.NumAckPending)
			}
		}
		if err := consumers.Err(); err != nil {
			return err
		}
	}
	return nil
}

// indexLease is the lease that a tracker holds for as long as it runs.
const indexLease = "run_index"

// audited reads what is left and reports every fault.
func (d *deployment) audited(t *testing.T) snapshot.State {
	t.Helper()
	s := d.state
	err := errors.Join(
		snapshot.ReadObjects(t.Context(), d.server.URL(), bucket, &s),
		snapshot.ReadStreams(t.Context(), d.server.URL(), &s),
		snapshot.ReadMLflow(d.in("mlruns"), &s),
		snapshot.ReadReports(d.in("reports"), &s),
		snapshot.ReadScratch(d.in("scratch"), &s),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range audit.Check(s) {
		t.Error(f)
	}
	return s
}

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
