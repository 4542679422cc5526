package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// announceEvery bounds how often progress is announced.
const announceEvery = 250 * time.Millisecond

// meter keeps an attempt's metric history in a file and announces it.
type meter struct {
	worker  *Worker
	claim   *claim
	scratch *scratch
	stop    context.CancelFunc
	done    sync.WaitGroup
	start   time.Time

	mu        sync.Mutex
	file      *os.File // nil until there is something to write
	buf       *bufio.Writer
	lines     int
	first     int64 // step of the first call, to estimate the time left
	progress  events.Progress
	announced time.Time
	sample    int64         // number of the next sample of the machine
	had       map[spot]bool // what the attempts before have announced
}

// newMeter starts a meter. At a later attempt than the first, the file holds
// the history up to the step that it resumes from, if there is one, and the
// points that the attempts before announced since are taken over.
func newMeter(ctx context.Context, w *Worker, c *claim, dir *scratch, resumed int64) (*meter, error) {
	sampling, cancel := context.WithCancel(context.Background()) // ends with close
	m := &meter{worker: w, claim: c, scratch: dir, stop: cancel, start: time.Now(), first: -1}
	if c.attempt > 1 {
		if err := m.inherit(ctx, resumed); err != nil {
			cancel()
			return nil, err
		}
	}
	if w.cfg.Sample != nil {
		m.done.Go(func() { m.sampleMachine(sampling) })
	}
	return m, nil
}

// open opens the file behind what it holds.
func (m *meter) open() error {
	if m.file != nil {
		return nil
	}
	path, err := m.scratch.path(metricsFile)
	if err == nil {
		m.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	m.buf = bufio.NewWriter(m.file)
	return nil
}

// add records points and announces them together with those that wait.
func (m *meter) add(ctx context.Context, step, total int64, points []events.Point) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	for i := range points {
		if points[i].Time.IsZero() {
			points[i].Time = now
		}
		if points[i].Step == 0 {
			points[i].Step = step
		}
	}
	points = m.fresh(points)
	if err := m.write(points); err != nil {
		return err
	}
	if m.first < 0 {
		m.first, m.start = step, now
	}
	m.progress.Step, m.progress.Total = step, total
	m.progress.Points = append(m.progress.Points, points...)
	if done := step - m.first; done > 0 && total > step {
		m.progress.RemainingSeconds = now.Sub(m.start).Seconds() / float64(done) * float64(total-step)
	} else {
		m.progress.RemainingSeconds = 0
	}
	const most = 200 // points of one event, which stays far under 64 KiB
	if now.Sub(m.announced) >= announceEvery || len(m.progress.Points) >= most || step == total {
		m.announce(ctx, now)
	}
	return nil
}

// announce sends what waits. A lost announcement costs a line on a screen.
func (m *meter) announce(ctx context.Context, now time.Time) {
	m.progress.RunID, m.progress.Phase, m.progress.Attempt = m.claim.req.RunID, m.claim.req.Phase, m.claim.attempt
	if err := journal.New(m.worker.bus).PublishMetric(ctx, m.progress); err != nil {
		m.worker.log(ctx, slog.LevelDebug, m.claim, "progress not announced", "error", err)
	}
	m.progress.Points = nil
	m.announced = now
}

func (m *meter) write(points []events.Point) error {
	if len(points) == 0 {
		return nil
	}
	if err := m.open(); err != nil {
		return err
	}
	enc := json.NewEncoder(m.buf)
	for _, p := range points {
		if err := enc.Encode(p); err != nil {
			return fmt.Errorf("metric %s at step %d: %w", p.Key, p.Step, err)
		}
		m.lines++
	}
	return nil
}

// sampleMachine measures the machine until the attempt ends.
func (m *meter) sampleMachine(ctx context.Context) {
	tick := time.NewTicker(m.worker.cfg.SampleEvery)
	defer tick.Stop()
	for {
		points := m.worker.cfg.Sample(ctx)
		if ctx.Err() != nil {
			return
		}
		m.mu.Lock()
		for i := range points {
			points[i].Step = m.sample
		}
		m.sample++
		history := make([]events.Point, len(points))
		for i, p := range points {
			p.Key = systemPrefix + p.Key
			history[i] = p
		}
		err := m.write(history)
		m.mu.Unlock()
		ev := events.Telemetry{RunID: m.claim.req.RunID, Phase: m.claim.req.Phase, Attempt: m.claim.attempt, Points: points}
		if aerr := journal.New(m.worker.bus).PublishMetric(ctx, ev); err != nil || aerr != nil {
			m.worker.log(ctx, slog.LevelDebug, m.claim, "sample of the machine lost", "error", err, "announce", aerr)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// snapshot copies the history so far, for a checkpoint.
func (m *meter) snapshot(to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.open(); err != nil {
		return err
	}
	if err := m.buf.Flush(); err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	return copyFile(m.file.Name(), to)
}

// close ends the sampling, announces what waits, and reports whether there
// is any history. It may be repeated.
func (m *meter) close(ctx context.Context) (bool, error) {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.progress.Points) > 0 {
		m.announce(ctx, time.Now())
	}
	if m.file == nil {
		return m.lines > 0, nil
	}
	err := errors.Join(m.buf.Flush(), m.file.Close())
	m.file = nil
	if err != nil {
		return false, fmt.Errorf("metric history: %w", err)
	}
	return m.lines > 0, nil
}

// discard ends the metering; nothing of it is kept.
func (m *meter) discard() {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		_ = m.file.Close() // it is removed next
	}
}
