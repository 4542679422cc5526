package checkpointing_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry is a checkpoint registry in memory, of one job.
type registry struct {
	newest checkpoint.Checkpoint
	err    error // of every call
	stores bool  // a Save that fails stores the checkpoint all the same
	saves  int
}

func (r *registry) Load(context.Context, string, events.Phase) (checkpoint.Checkpoint, error) {
	if r.err == nil && r.newest.Step == 0 {
		return checkpoint.Checkpoint{}, checkpoint.ErrNone
	}
	return r.newest, r.err
}

func (r *registry) Claim(ctx context.Context, run string, p events.Phase, _ int) (checkpoint.Checkpoint, error) {
	return r.Load(ctx, run, p)
}

func (r *registry) Save(_ context.Context, _ string, _ events.Phase, cp checkpoint.Checkpoint, keep int) (checkpoint.Checkpoint, []checkpoint.Checkpoint, error) {
	r.saves++
	if r.err != nil && !r.stores {
		return checkpoint.Checkpoint{}, nil, r.err
	}
	history := r.newest.History()
	kept := min(keep-1, len(history))
	cp.Before = history[:kept]
	r.newest = cp
	return cp, history[kept:], r.err
}

func (r *registry) Delete(context.Context, string, events.Phase) error { return r.err }

// store is an artifact store of keys without content.
type store struct {
	keys []string
	err  error // of PutDir
}

func (s *store) PutDir(_ context.Context, key, _ string) (events.Reference, error) {
	if s.err != nil {
		return events.Reference{}, s.err
	}
	s.keys = append(s.keys, key)
	return events.Reference{Key: key}, nil
}

func (s *store) List(context.Context, string) iter.Seq2[artifact.Object, error] {
	return func(func(artifact.Object, error) bool) {}
}

func (s *store) Delete(_ context.Context, key string) error {
	if !slices.Contains(s.keys, key) {
		return artifact.ErrNotFound
	}
	s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return k == key })
	return nil
}

// steps are the steps of the stored checkpoints.
func (s *store) steps() string {
	var out []string
	for _, key := range s.keys {
		_, step, _ := strings.Cut(key, "checkpoint-")
		out = append(out, step)
	}
	return strings.Join(out, " ")
}

// setup is a saver with its surroundings.
type setup struct {
	registry  registry
	store     store
	connected bool
	saver     *checkpointing.Saver
}

func newSetup() *setup {
	s := &setup{connected: true}
	s.saver = checkpointing.NewSaver(job(), checkpointing.SaverConfig{
		Registry:  &s.registry,
		Files:     &s.store,
		Store:     &s.store,
		Connected: func() bool { return s.connected },
	})
	return s
}

func job() checkpointing.Job {
	return checkpointing.Job{RunID: "r", Phase: events.Finetune, Attempt: 1, Logger: slog.New(slog.DiscardHandler)}
}

func (s *setup) save(t *testing.T, step int64, keep int) {
	t.Helper()
	if err := s.saver.Save(t.Context(), step, "dir", keep); err != nil {
		t.Fatalf("save step %d: %v", step, err)
	}
}

// signalled reports whether the saver asked for a retry since the last call.
func (s *setup) signalled() bool {
	select {
	case <-s.saver.BecamePending():
		return true
	default:
		return false
	}
}

// TestSaverKeeps: the newest checkpoints stay, as many as are asked for.
func TestSaverKeeps(t *testing.T) {
	t.Parallel()
	for keep, want := range map[int]string{1: "5", 2: "4 5", 0: "1 2 3 4 5"} {
		s := newSetup()
		if s.saver.Stored() {
			t.Error("nothing is stored yet")
		}
		for step := int64(1); step <= 5; step++ {
			s.save(t, step, keep)
		}
		if got := s.store.steps(); got != want || s.registry.newest.Step != 5 || s.signalled() || !s.saver.Stored() {
			t.Errorf("keep %d: stored are %s, registered is step %d; want %s", keep, got, s.registry.newest.Step, want)
		}
	}
}

// TestSaverRetriesPending: of the checkpoints that are saved while NATS is
// unreachable, the newest is registered when NATS is back. The others are
// deleted; those that are registered stay.
func TestSaverRetriesPending(t *testing.T) {
	t.Parallel()
	s := newSetup()
	s.save(t, 1, 2)
	s.connected = false
	s.save(t, 2, 2)
	s.save(t, 3, 2)
	if got := s.store.steps(); got != "1 3" || s.registry.newest.Step != 1 || !s.signalled() {
		t.Fatalf("stored are %s, registered is step %d", got, s.registry.newest.Step)
	}
	if s.saver.RetryPending(t.Context()) || s.registry.saves != 1 {
		t.Error("a retry while NATS is unreachable")
	}
	s.connected, s.registry.err = true, errors.New("no quorum yet")
	if !s.saver.RetryPending(t.Context()) {
		t.Error("a failed registration is not retried")
	}
	s.registry.err = nil
	if s.saver.RetryPending(t.Context()) || s.registry.newest.Step != 3 || s.store.steps() != "1 3" {
		t.Errorf("stored are %s, registered is step %d", s.store.steps(), s.registry.newest.Step)
	}
	if s.saver.RetryPending(t.Context()) || s.registry.saves != 3 {
		t.Errorf("registered %d times", s.registry.saves)
	}
}

// TestSaverLosesReply: a checkpoint whose registration got no reply may be
// registered. It stays until a newer one is confirmed.
func TestSaverLosesReply(t *testing.T) {
	t.Parallel()
	for _, stores := range []bool{true, false} {
		s := newSetup()
		s.registry.err, s.registry.stores = errors.New("no reply"), stores
		s.save(t, 1, 1)
		s.save(t, 2, 1)
		if got := s.store.steps(); got != "1 2" {
			t.Errorf("stored are %s before the confirmation", got)
		}
		s.registry.err = nil
		s.save(t, 3, 1)
		if got := s.store.steps(); got != "3" || s.registry.newest.Step != 3 {
			t.Errorf("stored are %s after it, registered is step %d", got, s.registry.newest.Step)
		}
	}
}

// TestSaverErrors: only a newer attempt and the end of the context are errors
// to the engine.
func TestSaverErrors(t *testing.T) {
	t.Parallel()
	full := &artifact.UnavailableError{Err: errors.New("full")}
	fenced := &checkpoint.SupersededError{Key: "r.finetune"}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx         context.Context
		store, regs error
		want        error
	}{
		"store full":         {t.Context(), full, nil, nil},
		"registry away":      {t.Context(), nil, errors.New("away"), nil},
		"newer attempt":      {t.Context(), nil, fenced, fenced},
		"context has ended":  {ended, full, nil, full},
		"nothing is missing": {t.Context(), nil, nil, nil},
	} {
		s := newSetup()
		s.store.err, s.registry.err = c.store, c.regs
		err := s.saver.Save(c.ctx, 1, "dir", 1)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if checkpointing.IsSuperseded(err) != (name == "newer attempt") {
			t.Errorf("%s: superseded %t", name, checkpointing.IsSuperseded(err))
		}
	}
}

// TestSaverClose: after the end of the attempt nothing is registered any more.
func TestSaverClose(t *testing.T) {
	t.Parallel()
	s := newSetup()
	s.connected = false
	s.save(t, 1, 1)
	s.saver.Close()
	s.connected = true
	if s.saver.RetryPending(t.Context()) || s.registry.saves != 0 {
		t.Errorf("registered %d times", s.registry.saves)
	}
}

// blockingRegistry saves when it is told to.
type blockingRegistry struct {
	registry
	saving, proceed chan struct{}
}

func (r *blockingRegistry) Save(ctx context.Context, run string, p events.Phase, cp checkpoint.Checkpoint, keep int) (checkpoint.Checkpoint, []checkpoint.Checkpoint, error) {
	r.saving <- struct{}{}
	<-r.proceed
	return r.registry.Save(ctx, run, p, cp, keep)
}

// TestSaverRetryDoesNotWait: while the engine's checkpoint is being registered,
// a retry by the watch of the ownership returns at once. Close waits.
func TestSaverRetryDoesNotWait(t *testing.T) {
	t.Parallel()
	r := &blockingRegistry{saving: make(chan struct{}), proceed: make(chan struct{})}
	files := &store{}
	saver := checkpointing.NewSaver(job(), checkpointing.SaverConfig{
		Registry: r, Files: files, Store: files, Connected: func() bool { return true },
	})
	saved := make(chan error, 1)
	go func() { saved <- saver.Save(t.Context(), 1, "dir", 1) }()
	<-r.saving
	if saver.RetryPending(t.Context()) || !saver.Stored() {
		t.Error("the retry asks for another one, or nothing is stored")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := saver.Save(ended, 2, "dir", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a save whose context has ended: %v", err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		saver.Close()
	}()
	select {
	case <-closed:
		t.Error("closed during a registration")
	default:
	}
	close(r.proceed)
	if err := <-saved; err != nil || r.newest.Step != 1 {
		t.Errorf("%v, registered is step %d", err, r.newest.Step)
	}
	<-closed
}
