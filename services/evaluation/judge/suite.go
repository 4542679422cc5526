package judge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// maxUnavailable is how many rows in succession may find the judge unavailable
// before a metric is given up. Each of them was retried over minutes.
const maxUnavailable = 3

// errGivenUp means that a metric was given up and is not tried any more. It wraps
// the reason.
var errGivenUp = errors.New("the metric was given up")

// Outcome is one metric's result for a row, or the reason why there is none.
type Outcome struct {
	Metric string
	Result
	Err error
}

// Suite judges rows by several metrics. A metric that fails does not affect the
// others, and one that cannot succeed is given up. It is safe for concurrent use.
type Suite struct{ metrics []*guardedMetric }

// NewSuite returns a suite of metrics.
func NewSuite(metrics ...Metric) *Suite {
	s := &Suite{}
	for _, m := range metrics {
		s.metrics = append(s.metrics, &guardedMetric{metric: m, reasons: make(map[string]int)})
	}
	return s
}

// Score judges a row by all metrics concurrently, and returns their outcomes in
// the suite's order. The error is that of ctx; an interrupted row is not counted.
func (s *Suite) Score(ctx context.Context, row metric.Row) ([]Outcome, error) {
	outcomes := make([]Outcome, len(s.metrics))
	var all sync.WaitGroup
	for i, g := range s.metrics {
		all.Go(func() { outcomes[i] = g.try(ctx, row) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, g := range s.metrics {
		g.count(outcomes[i].Err)
	}
	return outcomes, nil
}

// Samples are the samples of outcomes, for a [metric.Aggregate].
func Samples(outcomes []Outcome) []metric.Sample {
	samples := make([]metric.Sample, len(outcomes))
	for i, o := range outcomes {
		samples[i] = o.Sample
	}
	return samples
}

// Notes returns a note for each metric that has no score for some rows, with
// their number and the reasons.
func (s *Suite) Notes() []string {
	var notes []string
	for _, g := range s.metrics {
		if note := g.note(); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// guardedMetric is a metric with a record of its failures.
type guardedMetric struct {
	metric Metric

	mu          sync.Mutex
	rows        int
	missed      int
	unavailable int   // rows in succession
	givenUp     error // the reason; nil while the metric is tried
	// reasons counts the errors by text, and order lists them. Only the first few
	// are recorded, because errors may quote answers.
	reasons map[string]int
	order   []string
}

// try scores a row. It runs on a goroutine of the suite, where a panic would end
// the process, so it turns a panic into an error.
func (g *guardedMetric) try(ctx context.Context, row metric.Row) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("the metric panicked: %v", p)}
		}
	}()
	g.mu.Lock()
	cause := g.givenUp
	g.mu.Unlock()
	if cause != nil {
		return Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("%w: %w", errGivenUp, cause)}
	}
	result, err := g.metric.Score(ctx, row)
	return Outcome{Metric: g.metric.Name(), Result: result, Err: err}
}

func (g *guardedMetric) count(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows++
	if !errors.Is(err, ErrUnavailable) {
		g.unavailable = 0
	}
	if err == nil {
		return
	}
	g.missed++
	if errors.Is(err, errGivenUp) {
		return
	}
	if errors.Is(err, ErrUnavailable) {
		g.unavailable++
	}
	if g.givenUp == nil && (errors.Is(err, ErrRefused) || g.unavailable == maxUnavailable) {
		g.givenUp = err
	}
	const maxReasons = 5
	text := err.Error()
	if _, known := g.reasons[text]; !known {
		if len(g.order) == maxReasons {
			return
		}
		g.order = append(g.order, text)
	}
	g.reasons[text]++
}

func (g *guardedMetric) note() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missed == 0 {
		return ""
	}
	note := fmt.Sprintf("metric %s: %d of %d rows have no score", g.metric.Name(), g.missed, g.rows)
	if g.givenUp != nil {
		note += ", as it was given up"
	}
	for i, reason := range g.order {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		note += fmt.Sprintf("%s%s (%d times)", separator, reason, g.reasons[reason])
	}
	return note
}
