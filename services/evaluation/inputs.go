package evaluation

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// inputs are the answers to score.
type inputs struct {
	rows    int64
	answers iter.Seq2[prediction.Prediction, error]
	// baseline returns the base model's answer to the next row. It is nil where
	// the run has no baseline.
	baseline func() (prediction.Prediction, error, bool)

	closers []func()
}

func (in *inputs) close() {
	for _, c := range in.closers {
		c()
	}
}

// openInputs fetches and opens the predictions of a job. The inputs have to be
// closed, also after an error.
func openInputs(ctx context.Context, job *engine.Job) (*inputs, error) {
	in := &inputs{}
	if job.Request.Inputs.Predictions == nil {
		return in, engine.Permanent("missing_input", errors.New("evaluation: the run has no predictions"))
	}
	f, err := in.open(ctx, job, *job.Request.Inputs.Predictions, prediction.FileName)
	if err != nil {
		return in, fmt.Errorf("fetch predictions: %w", err)
	}
	if in.rows, err = countRows(ctx, f); err != nil {
		return in, err
	}
	in.answers = prediction.Read(f)
	if ref := job.Request.Inputs.BaselinePredictions; ref != nil {
		f, err := in.open(ctx, job, *ref, prediction.BaselineFileName)
		if err != nil {
			return in, fmt.Errorf("fetch the base model's predictions: %w", err)
		}
		next, stop := iter.Pull2(prediction.Read(f))
		in.closers = append(in.closers, stop)
		in.baseline = next
	}
	return in, nil
}

func (in *inputs) open(ctx context.Context, job *engine.Job, ref events.Reference, name string) (*os.File, error) {
	path, err := job.Fetch(ctx, ref, name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in.closers = append(in.closers, func() { _ = f.Close() }) // read only
	return f, nil
}

// countRows counts the lines that are not empty, for the progress, and rewinds
// the file.
func countRows(ctx context.Context, f *os.File) (int64, error) {
	n := int64(0)
	lines := bufio.NewReader(progress.Reader(ctx, f))
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			n++
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("count predictions: %w", err)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("count predictions: %w", err)
	}
	return n, nil
}
