package report

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Row is one line of the scores artifact: a question, what was answered, and
// how the answers were scored.
type Row struct {
	Index       int64  `json:"index"`
	Question    string `json:"question"`
	GroundTruth string `json:"ground_truth"`
	Answer      string `json:"answer"`
	// BaselineAnswer is the base model's; only where the run has a baseline.
	BaselineAnswer string `json:"baseline_answer,omitempty"`
	// KeyFact is what a right answer contains; empty where the data has none.
	KeyFact string `json:"key_fact,omitempty"`
	// Scores are by metric. A metric that could not be computed is null or missing.
	Scores         Scores `json:"scores,omitempty"`
	BaselineScores Scores `json:"baseline_scores,omitempty"`
	// Error says why the row has no answer or no scores.
	Error string `json:"error,omitempty"`
}

// Scores are the scores of one answer by metric.
type Scores map[string]float64

// UnmarshalJSON leaves out metrics that are null.
func (s *Scores) UnmarshalJSON(text []byte) error {
	var values map[string]*float64
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	*s = make(Scores, len(values))
	for name, v := range values {
		if v != nil {
			(*s)[name] = *v
		}
	}
	return nil
}

// Opener opens the scores artifact from its beginning.
type Opener func(ctx context.Context) (io.ReadCloser, error)

// rows reads the artifact line by line. It ends after the first error, which
// names the line.
func rows(ctx context.Context, open Opener) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		source, err := open(ctx)
		if err != nil {
			yield(Row{}, fmt.Errorf("open scores: %w", err))
			return
		}
		goOn, err := readRows(ctx, source, func(row Row) bool { return yield(row, nil) })
		if err = errors.Join(err, source.Close()); err != nil && goOn {
			yield(Row{}, err)
		}
	}
}

// readRows calls use for every row; it reports whether use wants more.
func readRows(ctx context.Context, source io.Reader, use func(Row) bool) (goOn bool, err error) {
	lines := bufio.NewReaderSize(source, 1<<16)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		line, readErr := lines.ReadBytes('\n')
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return true, fmt.Errorf("read scores: line %d: %w", n, readErr)
		}
		if strings.TrimSpace(string(line)) != "" {
			var row Row
			if err := json.Unmarshal(line, &row); err != nil {
				return true, fmt.Errorf("read scores: line %d: %w", n, err)
			}
			if !use(row) {
				return false, nil
			}
		}
		if readErr != nil {
			return true, nil
		}
	}
}

// keyFactMetric is the evaluation's own opinion on the key fact, 0 or 1.
const keyFactMetric = "key_fact_accuracy"

// missesKeyFact reports whether the answer lacks what it had to contain. A row
// that failed has no answer to judge.
func (r Row) missesKeyFact() bool {
	if r.Error != "" || strings.TrimSpace(r.KeyFact) == "" {
		return false
	}
	if score, ok := r.Scores[keyFactMetric]; ok {
		return score < 0.5
	}
	return !strings.Contains(folded(r.Answer), folded(r.KeyFact))
}

func (r Row) isEmpty() bool { return r.Error == "" && strings.TrimSpace(r.Answer) == "" }

// folded makes texts comparable: lower case, blanks collapsed.
func folded(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(s), " "))
}
