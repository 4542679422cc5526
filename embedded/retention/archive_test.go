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

func (f *fixture) archiver(opts archive.Options) *archive.Archiver {
	return archive.NewArchiver(f.bus, f.store, opts)
}

func (f *fixture) archive(t *testing.T, opts archive.Options) archive.Report {
	t.Helper()
	report, err := f.archiver(opts).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (f *fixture) read(t *testing.T, run string) []codec.Message {
	t.Helper()
	all, err := archive.NewReader(f.bus, f.store).Facts(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func runs(archived []archive.ArchivedRun) []string {
	var out []string
	for _, m := range archived {
		out = append(out, m.Run)
	}
	return out
}

// TestArchive: an archived run reads as before, and runs that can not be archived
// remain.
func TestArchive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	whole := facts("done")
	f.publish(t, whole...)
	f.publish(t, facts("untracked")[:len(whole)-1]...)
	f.publish(t, facts("open")[:len(whole)-2]...)
	f.publish(t, events.PipelineRejected{RequestSequence: 7, Faults: []events.Fault{{Key: "k"}}})
	for _, run := range []string{"done", "open"} {
		if err := journal.New(f.bus).PublishMetric(t.Context(), events.Progress{RunID: run, Phase: events.Inference, Attempt: 1, Step: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"done", "open"} {
		if _, _, err := checkpoint.New(f.bus).Save(t.Context(), run, events.Inference, checkpoint.Checkpoint{Attempt: 1, Step: 1}, 1); err != nil {
			t.Fatal(err)
		}
	}
	before := f.read(t, "done")
	redriven := events.RedriveSubject("tracker", "done", 7)
	if _, err := f.js.Publish(t.Context(), redriven, []byte("a redriven message")); err != nil {
		t.Fatal(err)
	}
	if len(before) != len(whole) {
		t.Fatalf("%d facts, want %d", len(before), len(whole))
	}
	total := f.messages(t, events.StreamFacts)

	if report := f.archive(t, archive.Options{OlderThan: time.Hour}); len(report.Archived) != 0 || report.Young != 2 || report.Open != 1 {
		t.Errorf("older than an hour: %+v", report)
	}
	if report := f.archive(t, archive.Options{DryRun: true}); !slices.Equal(runs(report.Archived), []string{"done"}) {
		t.Errorf("a dry run: %+v", report)
	}
	if now := f.messages(t, events.StreamFacts); now != total || len(f.keys(t, "")) != 0 {
		t.Fatalf("after a dry run the stream has %d facts, before it had %d; the store has %v", now, total, f.keys(t, ""))
	}

	var called []string
	report := f.archive(t, archive.Options{OnArchived: func(r archive.ArchivedRun) { called = append(called, r.Run) }})
	if !slices.Equal(runs(report.Archived), []string{"done"}) || report.Archived[0].Facts != len(whole) || !slices.Equal(called, []string{"done"}) {
		t.Errorf("archived %+v, called for %v", report.Archived, called)
	}
	if len(report.Skipped) != 1 || report.Skipped[0].Run != "untracked" || !strings.Contains(report.Skipped[0].Why, "replay tracking --run untracked") {
		t.Errorf("skipped %+v", report.Skipped)
	}
	if now := f.messages(t, events.StreamFacts); now != total-uint64(len(whole))-1 {
		t.Errorf("the stream has %d messages, before it had %d", now, total)
	}
	if n := f.messages(t, events.StreamMetrics); n != 1 {
		t.Errorf("%d metric events are left, want the one of the open run", n)
	}
	if _, err := checkpoint.New(f.bus).Load(t.Context(), "done", events.Inference); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("checkpoint of the archived run: %v", err)
	}
	if _, err := checkpoint.New(f.bus).Load(t.Context(), "open", events.Inference); err != nil {
		t.Errorf("checkpoint of the open run: %v", err)
	}
	if after := f.read(t, "done"); !reflect.DeepEqual(after, before) {
		t.Errorf("read from the archive:\n%+v\nfrom the stream:\n%+v", after, before)
	}
	if run, err := archive.NewReader(f.bus, f.store).Run(t.Context(), "done"); err != nil || run.Tracked == nil || len(run.Phases[events.Inference].Attempts) != 2 {
		t.Errorf("folded: %+v, %v", run, err)
	}
	if all, err := archive.NewFiles(f.store).Runs(t.Context()); err != nil || !slices.Equal(all, []string{"done"}) {
		t.Errorf("archived runs: %v, %v", all, err)
	}
	if all := f.read(t, "unknown"); len(all) != 0 {
		t.Errorf("facts of an unknown run: %v", all)
	}
	if report := f.archive(t, archive.Options{}); len(report.Archived) != 0 {
		t.Errorf("archived again: %+v", report)
	}
}

// faultyStore is a backend that changes what is stored, or calls a function after
// an archive was read.
type faultyStore struct {
	artifact.Backend
	put  func(io.Reader) (io.Reader, error)
	read func() // called after the second Get of an archive, which is the archiver's
	mu   sync.Mutex
	gets map[string]int
}

func newFaultyStore(t *testing.T, f *fixture) *faultyStore {
	t.Helper()
	if err := objectstore.Create(t.Context(), f.bus, "artifacts", 64<<20); err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), f.bus, "artifacts")
	if err != nil {
		t.Fatal(err)
	}
	b := &faultyStore{Backend: objects, gets: map[string]int{}}
	if f.store, err = artifact.New(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *faultyStore) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if b.put != nil {
		var err error
		if r, err = b.put(r); err != nil {
			return err
		}
	}
	return b.Backend.Put(ctx, key, mediaType, r)
}

func (b *faultyStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.Backend.Get(ctx, key)
	if err != nil || !strings.HasPrefix(key, archive.Prefix) {
		return r, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gets[key]++; b.gets[key] == 2 && b.read != nil {
		return notifyingCloser{r, b.read}, nil
	}
	return r, nil
}

type notifyingCloser struct {
	io.ReadCloser
	onClose func()
}

func (c notifyingCloser) Close() error {
	defer c.onClose()
	return c.ReadCloser.Close()
}

// TestInterruptedArchiver: whichever facts a crash leaves in the stream, the whole
// run can be read, and the next call finishes the work.
func TestInterruptedArchiver(t *testing.T) {
	t.Parallel()
	for name, purged := range map[string][]string{
		"before the first removal": nil,
		"attempts are removed":     {"*.*.r.*"},
		"one attempt is removed":   {"inference.started.r.2"},
		"the beginning is removed": {"*.*.r.*", "pipeline.accepted.r"},
		"only the end remains":     {"*.*.r.*", "pipeline.accepted.r", "*.completed.r"},
		"one fact remains":         {"*.*.r.*", "pipeline.*.r", "tracking.*.r", "inference.*.r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			b := newFaultyStore(t, f)
			f.publish(t, facts("r")...)
			before := f.read(t, "r")
			ctx, cancel := context.WithCancel(t.Context())
			b.read = cancel
			if _, err := f.archiver(archive.Options{}).Run(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("the first archiver: %v", err)
			}
			if n := len(f.keys(t, archive.Prefix)); n != 1 || f.messages(t, events.StreamFacts) != uint64(len(before)) {
				t.Fatalf("%d archives; the stream has %d facts of %d", n, f.messages(t, events.StreamFacts), len(before))
			}
			for _, filter := range purged {
				f.purge(t, filter)
			}
			if now := f.read(t, "r"); !reflect.DeepEqual(now, before) {
				t.Errorf("after the crash it reads as\n%+v\nwant\n%+v", now, before)
			}
			report := f.archive(t, archive.Options{})
			if n := f.messages(t, events.StreamFacts); n != 0 {
				t.Errorf("the stream still has %d facts; %+v", n, report)
			}
			if now := f.read(t, "r"); !reflect.DeepEqual(now, before) {
				t.Errorf("finally it reads as\n%+v\nwant\n%+v", now, before)
			}
			if n := len(f.keys(t, archive.Prefix)); n != 1 {
				t.Errorf("%d archives", n)
			}
		})
	}
}

// TestFactAfterArchiving: a fact that is stored after its run was archived is
// archived too.
func TestFactAfterArchiving(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publish(t, facts("r")...)
	f.archive(t, archive.Options{})
	f.publish(t, events.CancelRequested{RunID: "r", By: "a user"})
	if run := history.Fold(f.read(t, "r")); run.Cancel == nil || run.Completed == nil {
		t.Errorf("before the second call: %+v", run)
	}
	before := f.read(t, "r")
	if report := f.archive(t, archive.Options{}); !slices.Equal(runs(report.Archived), []string{"r"}) {
		t.Errorf("%+v", report)
	}
	if n := f.messages(t, events.StreamFacts); n != 0 {
		t.Errorf("the stream still has %d facts", n)
	}
	if now := f.read(t, "r"); !reflect.DeepEqual(now, before) {
		t.Errorf("it reads as\n%+v\nwant\n%+v", now, before)
	}
}

// TestNothingIsRemovedWithoutAnArchive: if the store is full or damages the archive,
// all facts remain.
func TestNothingIsRemovedWithoutAnArchive(t *testing.T) {
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
			f := newFixture(t)
			b := newFaultyStore(t, f)
			b.put = put
			f.publish(t, facts("r")...)
			before := f.read(t, "r")
			report, err := f.archiver(archive.Options{}).Run(t.Context())
			if err == nil || len(report.Archived) != 0 {
				t.Errorf("archived %+v, %v", report, err)
			}
			if n := f.messages(t, events.StreamFacts); n != uint64(len(before)) {
				t.Errorf("the stream has %d facts of %d", n, len(before))
			}
			if keys := f.keys(t, archive.Prefix); len(keys) != 0 {
				t.Errorf("left over: %v", keys)
			}
			b.put = nil
			if report := f.archive(t, archive.Options{}); !slices.Equal(runs(report.Archived), []string{"r"}) {
				t.Errorf("with a working store: %+v", report)
			}
		})
	}
}

// TestConcurrentArchivers: each run is archived once; the other archivers return
// [lease.ErrTaken].
func TestConcurrentArchivers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, run := range []string{"a", "b", "c", "d", "e"} {
		f.publish(t, facts(run)...)
	}
	reports, errs := make([]archive.Report, 4), make([]error, 4)
	var all sync.WaitGroup
	for i := range reports {
		all.Go(func() { reports[i], errs[i] = f.archiver(archive.Options{}).Run(t.Context()) })
	}
	all.Wait()
	var archived []string
	for i, err := range errs {
		if err != nil && !errors.Is(err, lease.ErrTaken) {
			t.Error(err)
		}
		archived = append(archived, runs(reports[i].Archived)...)
	}
	if slices.Sort(archived); !slices.Equal(archived, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("archived %v", archived)
	}
}

// TestSkippedRuns: a run that can not be archived completely is skipped with the
// reason.
func TestSkippedRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// Parts without an archive.
	f.publish(t, facts("part")...)
	f.purge(t, "*.*.part.*")
	f.publish(t, facts("headless")...)
	f.purge(t, "pipeline.accepted.headless")
	// The id of an archived run, used again.
	f.publish(t, facts("twice")...)
	f.archive(t, archive.Options{})
	again := facts("twice")[0].(events.PipelineAccepted)
	again.Lineage.RequestSequence = 9
	f.publish(t, again)
	// Artifacts in another store.
	f.publish(t, facts("elsewhere", events.Artifact{Name: "model", Reference: events.Reference{Store: "other", Key: "k"}})...)
	// An end that can not be decoded.
	whole := facts("broken")
	ends := len(whole) - 2 // without the completion and the tracking
	f.publish(t, whole[:ends]...)
	if _, err := f.js.Publish(t.Context(), events.PipelineCompleted{RunID: "broken"}.Subject(), []byte("it ended")); err != nil {
		t.Fatal(err)
	}
	// A damaged archive.
	f.publish(t, facts("damaged")...)
	sum := strings.Repeat("0", 64)
	if _, err := f.store.Put(t.Context(), archive.Prefix+"damaged/"+sum+".jsonl", "application/jsonl", strings.NewReader("{}\n")); err != nil {
		t.Fatal(err)
	}
	before := f.messages(t, events.StreamFacts)
	report := f.archive(t, archive.Options{})
	skipped := map[string]string{}
	for _, l := range report.Skipped {
		skipped[l.Run] = l.Why
	}
	for run, why := range map[string]string{
		"part": "no archive of the rest", "headless": "its beginning", "twice": "used again", "elsewhere": "store other",
		"broken": "not a structured CloudEvent", "damaged": "corrupt",
	} {
		if !strings.Contains(skipped[run], why) {
			t.Errorf("%s is skipped because %q, want %q", run, skipped[run], why)
		}
	}
	if len(report.Archived) != 0 || f.messages(t, events.StreamFacts) != before {
		t.Errorf("archived %+v; %d facts remain of %d", report.Archived, f.messages(t, events.StreamFacts), before)
	}
}

// TestUnreadableFactIsArchived: a fact that can not be decoded is archived with its
// run, byte for byte.
func TestUnreadableFactIsArchived(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	whole := facts("broken")
	f.publish(t, whole...)
	if _, err := f.js.Publish(t.Context(), "pipeline.cancel_requested.broken", []byte("please")); err != nil {
		t.Fatal(err)
	}
	report := f.archive(t, archive.Options{})
	if !slices.Equal(runs(report.Archived), []string{"broken"}) || f.messages(t, events.StreamFacts) != 0 {
		t.Fatalf("%+v; the stream has %d facts", report, f.messages(t, events.StreamFacts))
	}
	keys := f.keys(t, archive.Prefix+"broken/")
	back := f.read(t, "broken")
	unreadable, ok := errors.AsType[*history.UnreadableError](history.Unreadable(back))
	if !ok || len(unreadable.Facts) != 1 || unreadable.Facts[0].Subject != "pipeline.cancel_requested.broken" {
		t.Errorf("the error is %v", history.Unreadable(back))
	}
	if len(back) != len(whole)+1 || history.Fold(back).Completed == nil || len(keys) != 1 {
		t.Errorf("%d facts of %d are back, from %v", len(back), len(whole)+1, keys)
	}
}

// TestArchivingWithDelayedMessages: a fact that waits in a consumer, as the
// accepted event waits for a deadline, is removed with its run and does not block
// the consumer.
func TestArchivingWithDelayedMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publish(t, facts("old")...)
	c, err := f.js.Consumer(t.Context(), events.StreamFacts, topology.ConsumerDeadline)
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
	f.archive(t, archive.Options{})
	f.publish(t, facts("new")...)
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
			return // the new one, which is not acknowledged
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
