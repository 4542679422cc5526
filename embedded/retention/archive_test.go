package retention_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

func (r *room) archiver() archive.Archiver { return archive.Archiver{Bus: r.bus, Store: r.store} }

func (r *room) archive(t *testing.T, a archive.Archiver) archive.Report {
	t.Helper()
	report, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (r *room) read(t *testing.T, run string) []codec.Message {
	t.Helper()
	all, err := archive.Facts(t.Context(), r.bus, r.store, run)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func runs(moved []archive.Moved) []string {
	var out []string
	for _, m := range moved {
		out = append(out, m.Run)
	}
	return out
}

// TestArchive: a run that has left the stream reads as it did before, and
// those that may not go stay.
func TestArchive(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	whole := facts("done")
	r.publish(t, whole...)
	r.publish(t, facts("untracked")[:len(whole)-1]...)
	r.publish(t, facts("open")[:len(whole)-2]...)
	r.publish(t, events.PipelineRejected{RequestSequence: 7, Faults: []events.Fault{{Key: "k"}}})
	for _, run := range []string{"done", "open"} {
		if err := journal.New(r.bus).PublishMetric(t.Context(), events.Progress{RunID: run, Phase: events.Inference, Attempt: 1, Step: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"done", "open"} {
		if _, _, err := checkpoint.New(r.bus).Save(t.Context(), run, events.Inference, checkpoint.Checkpoint{Attempt: 1, Step: 1}, 1); err != nil {
			t.Fatal(err)
		}
	}
	before := r.read(t, "done")
	again := events.RetrySubject("tracker", "done", 7) // was handed back once
	if _, err := r.js.Publish(t.Context(), again, []byte("what it was")); err != nil {
		t.Fatal(err)
	}
	if len(before) != len(whole) {
		t.Fatalf("%d facts, want %d", len(before), len(whole))
	}
	held := r.held(t, events.StreamFacts)

	old := r.archiver()
	old.OlderThan = time.Hour
	if report := r.archive(t, old); len(report.Archived) != 0 || report.Young != 2 || report.Open != 1 {
		t.Errorf("an hour's patience: %+v", report)
	}
	dry := r.archiver()
	dry.DryRun = true
	if report := r.archive(t, dry); !slices.Equal(runs(report.Archived), []string{"done"}) {
		t.Errorf("a dry run: %+v", report)
	}
	if now := r.held(t, events.StreamFacts); now != held || len(r.keys(t, "")) != 0 {
		t.Fatalf("after a dry run the stream holds %d facts, before it %d; the store %v", now, held, r.keys(t, ""))
	}

	var told []string
	a := r.archiver()
	a.Told = func(m archive.Moved) { told = append(told, m.Run) }
	report := r.archive(t, a)
	if !slices.Equal(runs(report.Archived), []string{"done"}) || report.Archived[0].Facts != len(whole) || !slices.Equal(told, []string{"done"}) {
		t.Errorf("archived %+v, told %v", report.Archived, told)
	}
	if len(report.Left) != 1 || report.Left[0].Run != "untracked" || !strings.Contains(report.Left[0].Why, "replay tracking --run untracked") {
		t.Errorf("left %+v", report.Left)
	}
	if now := r.held(t, events.StreamFacts); now != held-uint64(len(whole))-1 {
		t.Errorf("the stream holds %d messages, before it were %d", now, held)
	}
	if n := r.held(t, events.StreamMetrics); n != 1 {
		t.Errorf("%d metric events are left, want the one of the open run", n)
	}
	if _, err := checkpoint.New(r.bus).Load(t.Context(), "done", events.Inference); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("checkpoint of the archived run: %v", err)
	}
	if _, err := checkpoint.New(r.bus).Load(t.Context(), "open", events.Inference); err != nil {
		t.Errorf("checkpoint of the open run: %v", err)
	}
	if after := r.read(t, "done"); !reflect.DeepEqual(after, before) {
		t.Errorf("read from the archive:\n%+v\nfrom the stream:\n%+v", after, before)
	}
	if run, err := (archive.Reader{Bus: r.bus, Store: r.store}).Run(t.Context(), "done"); err != nil || run.Tracked == nil || len(run.Phases[events.Inference].Attempts) != 2 {
		t.Errorf("folded: %+v, %v", run, err)
	}
	if all, err := archive.Runs(t.Context(), r.store); err != nil || !slices.Equal(all, []string{"done"}) {
		t.Errorf("archived runs: %v, %v", all, err)
	}
	if all := r.read(t, "nobody"); len(all) != 0 {
		t.Errorf("facts of nobody: %v", all)
	}
	if report := r.archive(t, r.archiver()); len(report.Archived) != 0 {
		t.Errorf("archived again: %+v", report)
	}
}

// touchy is a store's backend that a test gets in the way of.
type touchy struct {
	artifact.Backend
	put  func(io.Reader) (io.Reader, error) // what becomes of what is stored
	read func()                             // behind the second reading of an archive, which is the archiver's own
	mu   sync.Mutex
	gets map[string]int
}

func newTouchy(t *testing.T, r *room) *touchy {
	t.Helper()
	if err := objectstore.Create(t.Context(), r.bus, "artifacts", 64<<20); err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), r.bus, "artifacts")
	if err != nil {
		t.Fatal(err)
	}
	b := &touchy{Backend: objects, gets: map[string]int{}}
	if r.store, err = artifact.New(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *touchy) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if b.put != nil {
		var err error
		if r, err = b.put(r); err != nil {
			return err
		}
	}
	return b.Backend.Put(ctx, key, mediaType, r)
}

func (b *touchy) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.Backend.Get(ctx, key)
	if err != nil || !strings.HasPrefix(key, archive.Prefix) {
		return r, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gets[key]++; b.gets[key] == 2 && b.read != nil {
		return closing{r, b.read}, nil
	}
	return r, nil
}

type closing struct {
	io.ReadCloser
	then func()
}

func (c closing) Close() error {
	defer c.then()
	return c.ReadCloser.Close()
}

// TestArchiveThatWasCutShort: whatever a crash leaves of an archived run in
// the stream, the run reads whole, and the next call finishes the work.
func TestArchiveThatWasCutShort(t *testing.T) {
	t.Parallel()
	for name, purged := range map[string][]string{
		"before the first removal": nil,
		"attempts are gone":        {"*.*.r.*"},
		"one attempt is gone":      {"inference.started.r.2"},
		"beginning is gone":        {"*.*.r.*", "pipeline.accepted.r"},
		"only its end is there":    {"*.*.r.*", "pipeline.accepted.r", "*.completed.r"},
		"one fact is there":        {"*.*.r.*", "pipeline.*.r", "tracking.*.r", "inference.*.r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			b := newTouchy(t, r)
			r.publish(t, facts("r")...)
			before := r.read(t, "r")
			ctx, cancel := context.WithCancel(t.Context())
			b.read = cancel
			if _, err := r.archiver().Run(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("the first archiver: %v", err)
			}
			if n := len(r.keys(t, archive.Prefix)); n != 1 || r.held(t, events.StreamFacts) != uint64(len(before)) {
				t.Fatalf("%d archives; the stream holds %d facts of %d", n, r.held(t, events.StreamFacts), len(before))
			}
			for _, filter := range purged {
				r.purge(t, filter)
			}
			if now := r.read(t, "r"); !reflect.DeepEqual(now, before) {
				t.Errorf("in between it reads as\n%+v\nwant\n%+v", now, before)
			}
			report := r.archive(t, r.archiver())
			if n := r.held(t, events.StreamFacts); n != 0 {
				t.Errorf("the stream still holds %d facts; %+v", n, report)
			}
			if now := r.read(t, "r"); !reflect.DeepEqual(now, before) {
				t.Errorf("in the end it reads as\n%+v\nwant\n%+v", now, before)
			}
			if n := len(r.keys(t, archive.Prefix)); n != 1 {
				t.Errorf("%d archives", n)
			}
		})
	}
}

// TestFactsThatCameLate: a fact that was stored behind the archive is added
// to what is archived.
func TestFactsThatCameLate(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.publish(t, facts("r")...)
	r.archive(t, r.archiver())
	r.publish(t, events.CancelRequested{RunID: "r", By: "somebody who came late"})
	if run := history.Fold(r.read(t, "r")); run.Cancel == nil || run.Completed == nil {
		t.Errorf("in between: %+v", run)
	}
	before := r.read(t, "r")
	if report := r.archive(t, r.archiver()); !slices.Equal(runs(report.Archived), []string{"r"}) {
		t.Errorf("%+v", report)
	}
	if n := r.held(t, events.StreamFacts); n != 0 {
		t.Errorf("the stream still holds %d facts", n)
	}
	if now := r.read(t, "r"); !reflect.DeepEqual(now, before) {
		t.Errorf("it reads as\n%+v\nwant\n%+v", now, before)
	}
}

// TestNothingGoesWithoutAGoodArchive: a store that is full, or gives back
// something else, costs nothing.
func TestNothingGoesWithoutAGoodArchive(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(io.Reader) (io.Reader, error){
		"full": func(io.Reader) (io.Reader, error) { return nil, syscall.ENOSPC },
		"damaged": func(r io.Reader) (io.Reader, error) {
			body, err := io.ReadAll(r)
			return bytes.NewReader(bytes.ReplaceAll(body, []byte("success"), []byte("failure"))), err
		},
		"shortened": func(r io.Reader) (io.Reader, error) {
			body, err := io.ReadAll(r)
			return bytes.NewReader(body[:len(body)/2]), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			b := newTouchy(t, r)
			b.put = put
			r.publish(t, facts("r")...)
			before := r.read(t, "r")
			report, err := r.archiver().Run(t.Context())
			if err == nil || len(report.Archived) != 0 {
				t.Errorf("archived %+v, %v", report, err)
			}
			if n := r.held(t, events.StreamFacts); n != uint64(len(before)) {
				t.Errorf("the stream holds %d facts of %d", n, len(before))
			}
			if keys := r.keys(t, archive.Prefix); len(keys) != 0 {
				t.Errorf("left behind: %v", keys)
			}
			b.put = nil
			if report := r.archive(t, r.archiver()); !slices.Equal(runs(report.Archived), []string{"r"}) {
				t.Errorf("with a store that is well: %+v", report)
			}
		})
	}
}

// TestTwoArchivers: of two at once each run is archived by one, and the other
// archiver is told why it has nothing to do.
func TestTwoArchivers(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for _, run := range []string{"a", "b", "c", "d", "e"} {
		r.publish(t, facts(run)...)
	}
	reports, errs := make([]archive.Report, 4), make([]error, 4)
	var all sync.WaitGroup
	for i := range reports {
		all.Go(func() { reports[i], errs[i] = r.archiver().Run(t.Context()) })
	}
	all.Wait()
	var moved []string
	for i, err := range errs {
		if err != nil && !errors.Is(err, lease.ErrTaken) {
			t.Error(err)
		}
		moved = append(moved, runs(reports[i].Archived)...)
	}
	if slices.Sort(moved); !slices.Equal(moved, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("archived %v", moved)
	}
}

// TestRunsThatMayNotGo: what cannot be archived whole and surely is named and
// left.
func TestRunsThatMayNotGo(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	// Parts without an archive.
	r.publish(t, facts("part")...)
	r.purge(t, "*.*.part.*")
	r.publish(t, facts("headless")...)
	r.purge(t, "pipeline.accepted.headless")
	// An id that was used again although it is an archived run's.
	r.publish(t, facts("twice")...)
	r.archive(t, r.archiver())
	again := facts("twice")[0].(events.PipelineAccepted)
	again.Lineage.RequestSequence = 9
	r.publish(t, again)
	// Artifacts in another store.
	r.publish(t, facts("elsewhere", events.Artifact{Name: "model", Reference: events.Reference{Store: "other", Key: "k"}})...)
	// An end that nobody can read: it may be another one.
	whole := facts("broken")
	ends := len(whole) - 2 // the completion, and what the tracker said of it
	r.publish(t, whole[:ends]...)
	if _, err := r.js.Publish(t.Context(), events.PipelineCompleted{RunID: "broken"}.Subject(), []byte("it ended")); err != nil {
		t.Fatal(err)
	}
	// An archive that is damaged.
	r.publish(t, facts("damaged")...)
	sum := strings.Repeat("0", 64)
	if _, err := r.store.Put(t.Context(), archive.Prefix+"damaged/"+sum+".jsonl", "application/jsonl", strings.NewReader("{}\n")); err != nil {
		t.Fatal(err)
	}
	before := r.held(t, events.StreamFacts)
	report := r.archive(t, r.archiver())
	left := map[string]string{}
	for _, l := range report.Left {
		left[l.Run] = l.Why
	}
	for run, why := range map[string]string{
		"part": "no archive of the rest", "headless": "its beginning", "twice": "used again", "elsewhere": "store other",
		"broken": "not a structured CloudEvent", "damaged": "corrupt",
	} {
		if !strings.Contains(left[run], why) {
			t.Errorf("%s is left since %q, want %q", run, left[run], why)
		}
	}
	if len(report.Archived) != 0 || r.held(t, events.StreamFacts) != before {
		t.Errorf("archived %+v; %d facts are left of %d", report.Archived, r.held(t, events.StreamFacts), before)
	}
}

// TestUnreadableFactIsArchived: a fact that nobody can read goes with its run,
// as it is.
func TestUnreadableFactIsArchived(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	whole := facts("broken")
	r.publish(t, whole...)
	if _, err := r.js.Publish(t.Context(), "pipeline.cancel_requested.broken", []byte("please")); err != nil {
		t.Fatal(err)
	}
	report := r.archive(t, r.archiver())
	if !slices.Equal(runs(report.Archived), []string{"broken"}) || r.held(t, events.StreamFacts) != 0 {
		t.Fatalf("%+v; the stream holds %d facts", report, r.held(t, events.StreamFacts))
	}
	keys := r.keys(t, archive.Prefix+"broken/")
	back := r.read(t, "broken")
	var bad *history.UnreadableError
	if !errors.As(history.Unreadable(back), &bad) || len(bad.Facts) != 1 || bad.Facts[0].Subject != "pipeline.cancel_requested.broken" {
		t.Errorf("it is named as %v", history.Unreadable(back))
	}
	if len(back) != len(whole)+1 || history.Fold(back).Completed == nil || len(keys) != 1 {
		t.Errorf("%d facts of %d are back, from %v", len(back), len(whole)+1, keys)
	}
}

// TestArchiveFreesItsConsumers: facts that wait somewhere for their time, as
// an accepted run waits for its deadline, go with the run and hold nobody up.
func TestArchiveFreesItsConsumers(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.publish(t, facts("old")...)
	c, err := r.js.Consumer(t.Context(), events.StreamFacts, topology.ConsumerDeadline)
	if err != nil {
		t.Fatal(err)
	}
	next := func() jetstream.Msg {
		t.Helper()
		m, err := c.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if err := next().NakWithDelay(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	r.archive(t, r.archiver())
	r.publish(t, facts("new")...)
	if m := next(); m.Subject() != "pipeline.accepted.new" {
		t.Errorf("got %s", m.Subject())
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		info, err := c.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.NumAckPending == 1 && info.NumPending == 0 {
			return // the new one, which is still in hand
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries wait, %d more are to come", info.NumAckPending, info.NumPending)
		}
		if m, err := c.Next(jetstream.FetchMaxWait(time.Second)); err == nil {
			if m.Subject() != "pipeline.accepted.new" {
				t.Fatalf("the archived run came back: %s", m.Subject())
			}
			if err := m.InProgress(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
