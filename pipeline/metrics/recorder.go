package metrics

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/scratch"
)

// FileName is the name of the history's file, in the scratch folder and in a
// checkpoint.
const FileName = "metrics.jsonl"

// Publisher publishes metric events without waiting for the server's answer.
type Publisher interface {
	PublishMetric(ctx context.Context, ev events.Event) error
}

// Reader reads every metric event that the attempts at a phase have published,
// progress before telemetry, each in the stream's order.
type Reader interface {
	ReadMetrics(ctx context.Context, run string, p events.Phase, each func(events.Event)) error
}

// Config is what a recorder needs to know.
type Config struct {
	RunID   string
	Phase   events.Phase
	Attempt int
	// ResumedFrom is the step of the checkpoint that the attempt resumes from;
	// 0 without one.
	ResumedFrom int64
	// Checkpoint is the folder of that checkpoint; empty without one.
	Checkpoint string
	Folder     scratch.Paths
	Publisher  Publisher
	// Reader is needed from the second attempt on.
	Reader Reader
	// Sample, when set, measures the machine every SampleInterval.
	Sample         func(context.Context) []events.Point
	SampleInterval time.Duration
	Logger         *slog.Logger
}

// Recorder records the points of one attempt. It is safe for concurrent use.
type Recorder struct {
	cfg          Config
	stopSampling context.CancelFunc
	sampling     sync.WaitGroup

	mu         sync.Mutex
	file       historyFile
	batch      batch
	known      Steps // published by earlier attempts, and may be repeated
	nextSample int64

	// Preparation publishes what is told before the first step.
	Preparation Preparation
}

// Start starts a recorder and the sampling of the machine. From the second
// attempt on it takes over the history of the checkpoint, if there is one, and the
// points that earlier attempts published since.
func Start(ctx context.Context, cfg Config) (*Recorder, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{cfg: cfg, file: historyFile{folder: cfg.Folder}, Preparation: Preparation{cfg: cfg}}
	if cfg.Attempt > 1 {
		if err := r.inherit(ctx); err != nil {
			return nil, err
		}
	}
	sampling, stop := context.WithCancel(context.WithoutCancel(ctx)) // ends with Close
	r.stopSampling = stop
	if cfg.Sample != nil {
		r.sampling.Go(func() { r.sampleMachine(sampling) })
	}
	return r, nil
}

// Record adds points to the history and publishes them, together with earlier
// points that wait for their batch.
func (r *Recorder) Record(ctx context.Context, step, total int64, points []events.Point) error {
	ev, due, err := r.add(step, total, points)
	if due {
		r.publish(ctx, ev)
	}
	return err
}

// add adds points to the history, and takes the batch if it is due.
func (r *Recorder) add(step, total int64, points []events.Point) (ev events.Progress, due bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().UTC()
	points = dropKnown(r.known, stamped(points, step, now))
	if err := r.file.append(points); err != nil {
		return ev, false, err
	}
	if !r.batch.add(step, total, points, now) {
		return ev, false, nil
	}
	return r.batch.take(now), true, nil
}

// stamped returns a copy of points in which each has a step and a time. A value
// that is no finite number has no place in JSON, and events leave it out as well.
func stamped(points []events.Point, step int64, now time.Time) []events.Point {
	out := make([]events.Point, 0, len(points))
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		if p.Time.IsZero() {
			p.Time = now
		}
		if p.Step == 0 {
			p.Step = step
		}
		p.Key = events.Cut(p.Key, events.MaxNameBytes) // as events have it, so that the history agrees with the stream
		out = append(out, p)
	}
	return out
}

// dropKnown returns the points whose step is not known.
func dropKnown(known Steps, points []events.Point) []events.Point {
	if len(known) == 0 {
		return points
	}
	return slices.DeleteFunc(points, func(p events.Point) bool { return known.Has(p.Key, p.Step) })
}

// publish sends a batch. It is called without the lock, since the write to the
// socket may take a while.
func (r *Recorder) publish(ctx context.Context, ev events.Progress) {
	ev.RunID, ev.Phase, ev.Attempt = r.cfg.RunID, r.cfg.Phase, r.cfg.Attempt
	for _, points := range events.SplitPoints(ev.Points) {
		ev.Points = points
		if err := r.cfg.Publisher.PublishMetric(ctx, ev); err != nil {
			r.cfg.Logger.DebugContext(ctx, "progress not published", "error", err)
		}
	}
}

// sampleMachine measures the machine until the recorder is closed.
func (r *Recorder) sampleMachine(ctx context.Context) {
	tick := time.NewTicker(r.cfg.SampleInterval)
	defer tick.Stop()
	for {
		points := r.cfg.Sample(ctx)
		if ctx.Err() != nil {
			return
		}
		points, err := r.recordSample(points)
		for _, part := range events.SplitPoints(points) {
			ev := events.Telemetry{RunID: r.cfg.RunID, Phase: r.cfg.Phase, Attempt: r.cfg.Attempt, Points: part}
			err = errors.Join(err, r.cfg.Publisher.PublishMetric(ctx, ev))
		}
		if err != nil {
			r.cfg.Logger.DebugContext(ctx, "sample of the machine lost", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// recordSample adds a sample to the history, and returns its points with their
// number as they are published: without the prefix.
func (r *Recorder) recordSample(points []events.Point) ([]events.Point, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	published := make([]events.Point, len(points))
	recorded := make([]events.Point, len(points))
	for i, p := range points {
		p.Step = r.nextSample
		published[i] = p
		p.Key = events.SystemMetricPrefix + p.Key
		recorded[i] = p
	}
	r.nextSample++
	return published, r.file.append(recorded)
}

// Snapshot copies the history so far to a file, for a checkpoint.
func (r *Recorder) Snapshot(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.copyTo(path)
}

// StopSampling ends the sampling of the machine. It may be repeated.
func (r *Recorder) StopSampling() {
	r.stopSampling()
	r.sampling.Wait()
}

// Close ends the sampling and publishes the points that wait, so that a later
// attempt finds them in the stream. It may be repeated.
func (r *Recorder) Close(ctx context.Context) error {
	r.StopSampling()
	ev, waiting, err := r.close()
	if waiting {
		r.publish(ctx, ev)
	}
	return err
}

// close closes the history and takes the batch that waits.
func (r *Recorder) close() (ev events.Progress, waiting bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting = r.batch.waiting(); waiting {
		ev = r.batch.take(time.Now())
	}
	return ev, waiting, r.file.close()
}

// Finish closes the recorder and returns the path of the finished history. The
// path is empty if there are no points. From the second attempt on the history
// is first reconciled with the stream.
func (r *Recorder) Finish(ctx context.Context) (path string, err error) {
	if err := r.Close(ctx); err != nil || r.file.empty() {
		return "", err
	}
	if r.cfg.Attempt > 1 {
		if err := r.reconcileWithStream(ctx); err != nil {
			return "", err
		}
	}
	return r.cfg.Folder.Path(FileName)
}

// Discard ends the recorder and keeps nothing.
func (r *Recorder) Discard() {
	r.StopSampling()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file.discard()
}

const (
	// publishInterval bounds how often progress is published.
	publishInterval = 250 * time.Millisecond
	// batchPoints is the number of points with which a batch is due.
	batchPoints = events.MaxNumbers
)

// batch collects the points that are published together, and estimates the
// time left.
type batch struct {
	progress  events.Progress
	published time.Time

	started   bool
	startStep int64
	startTime time.Time
}

// add adds the points of a step, and reports whether the batch is due.
func (b *batch) add(step, total int64, points []events.Point, now time.Time) (due bool) {
	if !b.started {
		b.started, b.startStep, b.startTime = true, step, now
	}
	b.progress.Step, b.progress.Total = step, total
	b.progress.Points = append(b.progress.Points, points...)
	b.progress.RemainingSeconds = 0
	if done := step - b.startStep; done > 0 && total > step {
		b.progress.RemainingSeconds = now.Sub(b.startTime).Seconds() / float64(done) * float64(total-step)
	}
	return now.Sub(b.published) >= publishInterval || len(b.progress.Points) >= batchPoints || step == total
}

// waiting reports whether there are points that were not published.
func (b *batch) waiting() bool { return len(b.progress.Points) > 0 }

// take returns the batch as an event and starts the next one.
func (b *batch) take(now time.Time) events.Progress {
	ev := b.progress
	b.progress.Points = nil
	b.published = now
	return ev
}
