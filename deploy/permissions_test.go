package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// serverLog keeps what a server refused.
type serverLog struct {
	mu      sync.Mutex
	refused []string
	news    chan struct{} // holds a value after something was refused
}

func (l *serverLog) line(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line := fmt.Sprintf(format, args...); strings.Contains(line, "Violation") {
		l.refused = append(l.refused, line)
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

func (l *serverLog) Noticef(string, ...any)            {}
func (l *serverLog) Debugf(string, ...any)             {}
func (l *serverLog) Tracef(string, ...any)             {}
func (l *serverLog) Warnf(format string, args ...any)  { l.line(format, args...) }
func (l *serverLog) Errorf(format string, args ...any) { l.line(format, args...) }
func (l *serverLog) Fatalf(format string, args ...any) { l.line(format, args...) }

func (l *serverLog) violations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refused)
}

// withUsers starts a server with the users of the example, and connects as one of them.
func withUsers(t *testing.T) (as func(user string) *conn.Conn, log *serverLog) {
	t.Helper()
	t.Setenv("TUNEBUS_OPERATOR_PASSWORD", "o-secret")
	t.Setenv("TUNEBUS_TRL_PASSWORD", "t-secret")
	o, err := server.ProcessConfigFile("nats/users.conf")
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true
	o.JetStream, o.StoreDir, o.JetStreamMaxStore = true, t.TempDir(), 64<<30
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	log = &serverLog{news: make(chan struct{}, 1)}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not become ready")
	}
	return func(user string) *conn.Conn {
		t.Helper()
		url := strings.Replace(s.ClientURL(), "nats://", "nats://"+user+":"+user[:1]+"-secret@", 1)
		c, err := conn.Connect(t.Context(), conn.Options{URL: url, Name: user, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}, log
}

// TestTRLWorkerLeastPrivilege: the user of the example is enough for a worker of the
// queue trl: a job whose first attempt fails behind a checkpoint, and whose second goes on
// from there.
func TestTRLWorkerLeastPrivilege(t *testing.T) {
	as, log := withUsers(t)
	admin := as("operator")
	if err := topology.Apply(t.Context(), admin, topology.Topology{AckWait: 2 * time.Second, FactBytes: 1 << 30, RequestBytes: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	if err := objectstore.Create(t.Context(), admin, "artifacts", 1<<30); err != nil {
		t.Fatal(err)
	}
	worker := as("trl")
	store, err := service.OpenStore(t.Context(), worker, "jetstream://artifacts")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.Load(nil, []string{"TUNEBUS_SERVICES_FINETUNE_QUEUE=trl", "TUNEBUS_DATA_SCRATCH=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	p, err := service.NewProcess(worker, store, service.Options{Settings: cfg, Logger: quiet, Sample: func(context.Context) []events.Point { return []events.Point{{Key: "system/cpu", Value: 1}} }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wire(quiet, func(s *service.Service) error { return s.AddPhase(events.Finetune, "trl", engine.Func(twoAttempts)) }); err != nil {
		t.Fatal(err)
	}
	s := spec.Defaults()
	s.FineTuner.Engine, s.Pipeline.MaxTries = "trl", 2
	plan := []events.Step{{Phase: events.Finetune, Queue: "trl"}, {Phase: events.Inference, Queue: "builtin"}}
	for _, fact := range []events.Fact{
		events.PipelineAccepted{RunID: "one", RunName: "one", RequestedAt: time.Now().UTC(), Specification: s, Plan: plan},
		events.PhaseRequested{RunID: "one", RunName: "one", Phase: events.Finetune, Queue: "trl", Specification: s, Plan: plan},
	} {
		if _, err := journal.New(admin).Publish(t.Context(), fact, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	var c *events.PhaseCompleted
	for c == nil && ctx.Err() == nil {
		run, err := history.New(admin).Run(t.Context(), "one")
		if err != nil {
			t.Error(err)
			break
		}
		if state := run.Phases[events.Finetune]; state != nil {
			c = state.Completed
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c == nil || c.Conclusion != events.Success || c.Attempt != 2 {
		t.Errorf("completed: %+v", c)
	}
	if all := log.violations(); len(all) > 0 {
		t.Errorf("refused:\n%s", strings.Join(all, "\n"))
	}

	// It may do nothing that is not its work.
	for _, ev := range []events.Event{
		events.PipelineRequested{RunID: "two", Specification: []byte("{}")},
		events.PhaseRequested{RunID: "one", Phase: events.Finetune, Queue: "trl"},
		events.CancelRequested{RunID: "one"},
		events.PipelineDeleted{RunID: "one"},
		events.PhaseStarted{RunID: "one", Phase: events.Inference, Attempt: 1},
	} {
		refused(t, log, ev.Type(), func(ctx context.Context) error {
			_, err := journal.New(worker).Publish(ctx, ev, journal.Fence{})
			return err
		})
	}
	refused(t, log, "new streams", func(ctx context.Context) error { return topology.Apply(ctx, worker, topology.Topology{}) })
}

// refused waits until the server refuses what do asks for. Who asks goes on asking.
func refused(t *testing.T, log *serverLog, what string, do func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case <-log.news:
		cancel()
		if err := <-done; err == nil {
			t.Errorf("%s: it was done", what)
		}
	case err := <-done:
		cancel()
		select {
		case <-log.news:
		default:
			t.Errorf("%s: the server refused nothing: %v", what, err)
		}
		if err == nil {
			t.Errorf("%s: it was done", what)
		}
	}
}

// twoAttempts fails behind a checkpoint, and goes on from there.
func twoAttempts(ctx context.Context, job *engine.Job) (res engine.Result, err error) {
	if err := job.Progress(ctx, 1, 2, events.Point{Key: "training_loss", Value: 1}); err != nil {
		return res, err
	}
	if job.Attempt == 1 {
		err := job.WriteCheckpoint(ctx, 1, 2, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "state"), []byte("one"), 0o600)
		})
		return res, errors.Join(err, errors.New("the first attempt fails"))
	}
	if job.Resume.Step != 1 {
		return res, fmt.Errorf("it goes on from step %d", job.Resume.Step)
	}
	path, err := job.Scratch("out")
	if err == nil {
		err = os.WriteFile(path, []byte("model"), 0o600)
	}
	if err != nil {
		return res, err
	}
	a, err := job.PutFile(ctx, "model", "application/octet-stream", path)
	res.Artifacts = []events.Artifact{a}
	return res, err
}
