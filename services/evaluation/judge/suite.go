package judge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// patience is how many rows in a row a judge may be unavailable for. By then
// each has been tried several times over minutes.
const patience = 3

// ErrGivenUp says that a metric is not tried any more; it wraps the error that
// it was given up for.
var ErrGivenUp = errors.New("the metric was given up")

// Outcome is what one metric of a suite says about a row: a result, or why
// there is none.
type Outcome struct {
	Metric string
	Result
	Err error
}

// Suite judges rows by several metrics. One that fails costs that metric alone,
// and one that cannot succeed is given up. It is safe for concurrent use.
type Suite struct{ metrics []*guarded }

// NewSuite makes a suite of these metrics.
func NewSuite(metrics ...Metric) *Suite {
	s := &Suite{}
	for _, m := range metrics {
		s.metrics = append(s.metrics, &guarded{metric: m, reasons: make(map[string]int)})
	}
	return s
}

// Score judges a row by all metrics at once, and gives their outcomes in the
// suite's order. The error is ctx's; a row that was broken off counts nowhere.
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

// Notes say of every metric that some row has no score for how many these are,
// and why.
func (s *Suite) Notes() []string {
	var notes []string
	for _, g := range s.metrics {
		if note := g.note(); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// guarded is a metric with what went wrong so far.
type guarded struct {
	metric Metric

	mu          sync.Mutex
	rows        int
	missed      int
	unavailable int            // rows in a row
	givenUp     error          // the cause, once it is
	reasons     map[string]int // how often; the first few, as errors may quote answers
	order       []string
}

// try scores a row. A metric that panics does so on a goroutine of the suite,
// where nobody else could keep the process alive.
func (g *guarded) try(ctx context.Context, row metric.Row) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("the metric panicked: %v", p)}
		}
	}()
	g.mu.Lock()
	cause := g.givenUp
	g.mu.Unlock()
	if cause != nil {
		return Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("%w: %w", ErrGivenUp, cause)}
	}
	result, err := g.metric.Score(ctx, row)
	return Outcome{Metric: g.metric.Name(), Result: result, Err: err}
}

func (g *guarded) count(err error) {
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
	if errors.Is(err, ErrGivenUp) {
		return
	}
	if errors.Is(err, ErrUnavailable) {
		g.unavailable++
	}
	if g.givenUp == nil && (errors.Is(err, ErrRefused) || g.unavailable == patience) {
		g.givenUp = err
	}
	const most = 5
	text := err.Error()
	if _, known := g.reasons[text]; !known {
		if len(g.order) == most {
			return
		}
		g.order = append(g.order, text)
	}
	g.reasons[text]++
}

func (g *guarded) note() string {
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
