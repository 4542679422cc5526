package judge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// maxFailedRows is how many rows may fail before a metric is given up by which
// more than half of the rows fail. Each of them was retried.
const maxFailedRows = 20

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
// others. One that cannot succeed is given up: at once if the judge refuses, else
// when its budget of time or of failed rows is used up. It is safe for concurrent
// use.
type Suite struct{ metrics []*guardedMetric }

// NewSuite returns a suite of metrics.
func NewSuite(metrics ...Metric) *Suite {
	s := &Suite{}
	for _, m := range metrics {
		s.metrics = append(s.metrics, &guardedMetric{metric: m})
	}
	return s
}

// Names are the names of the metrics, in the suite's order.
func (s *Suite) Names() []string {
	names := make([]string, len(s.metrics))
	for i, g := range s.metrics {
		names[i] = g.metric.Name()
	}
	return names
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

// Samples are the samples of outcomes, for a [metric.Aggregate]. One without a
// score has the reason.
func Samples(outcomes []Outcome) []metric.Sample {
	samples := make([]metric.Sample, len(outcomes))
	for i, o := range outcomes {
		s := o.Finite(o.Metric)
		if _, ok := s.Scores[o.Metric]; !ok && s.Missing == "" {
			switch {
			case o.Err != nil:
				s.Missing = o.Err.Error()
			case len(o.Notes) > 0:
				s.Missing = o.Notes[0]
			default:
				s.Missing = "the metric gave no score"
			}
		}
		samples[i] = s
	}
	return samples
}

// guardedMetric is a metric with a record of its failures.
type guardedMetric struct {
	metric Metric

	mu           sync.Mutex
	rows, failed int
	givenUp      error // the reason; nil while the metric is tried
}

// missingError is the error of a row that lacks what the metric needs. It says
// nothing about the judge.
type missingError string

func (e missingError) Error() string { return string(e) }

// try scores a row. It runs on a goroutine of the suite, where a panic would end
// the process, so it turns a panic into an error.
func (g *guardedMetric) try(ctx context.Context, row metric.Row) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("the metric panicked: %v", p)}
		}
	}()
	if reason := row.Lacks(g.metric.usesTruth()); reason != "" {
		return Outcome{Metric: g.metric.Name(), Err: missingError(reason)}
	}
	if cause := g.cause(); cause != nil {
		return Outcome{Metric: g.metric.Name(), Err: fmt.Errorf("%w: %w", errGivenUp, cause)}
	}
	result, err := g.best(ctx, row)
	return Outcome{Metric: g.metric.Name(), Result: result, Err: err}
}

func (g *guardedMetric) cause() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.givenUp
}

// best scores a row against each of its references, one after the other, and
// returns the best result. Each is judged on its own, because a judge that sees
// several would not give the figure of the reference implementation.
func (g *guardedMetric) best(ctx context.Context, row metric.Row) (Result, error) {
	truths := row.Truths()
	if !g.metric.usesTruth() {
		truths = truths[:1]
	}
	var best Result
	for i, truth := range truths {
		row.GroundTruth, row.References = truth, nil
		result, err := g.metric.Score(ctx, row)
		if err != nil {
			return Result{}, err
		}
		score, ok := result.Scores[g.metric.Name()]
		before, had := best.Scores[g.metric.Name()]
		if i == 0 || ok && (!had || score > before) {
			best = result
		}
	}
	return best, nil
}

// count records the outcome of a row, and gives the metric up if its budget is
// used up.
func (g *guardedMetric) count(err error) {
	if _, lacks := errors.AsType[missingError](err); lacks {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows++
	if err == nil || g.givenUp != nil {
		return
	}
	g.failed++
	_, silent := errors.AsType[modelapi.SilenceError](err)
	switch {
	case errors.Is(err, ErrRefused), silent:
		g.givenUp = err
	case g.failed >= maxFailedRows && 2*g.failed > g.rows:
		g.givenUp = fmt.Errorf("%d of %d rows failed: %w", g.failed, g.rows, err)
	}
}
