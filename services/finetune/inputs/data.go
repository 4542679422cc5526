package inputs

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/examplefile"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

// Data is the data sets of a job as tokens, in files of the scratch folder.
type Data struct {
	Training, Validation *examplefile.File // Validation may be nil
	Rows                 int64             // of the training data that are trained on
	Datasets             []events.Dataset
	Notes                []string
}

// Release closes the files.
func (d *Data) Release() {
	for _, f := range []*examplefile.File{d.Training, d.Validation} {
		if f != nil {
			_ = f.Close() // it was only read
		}
	}
}

// Evaluation is the validation data, or nothing.
func (d *Data) Evaluation() llm.Examples {
	if d.Validation == nil {
		return nil
	}
	return d.Validation
}

// The keys that name the data sets.
const (
	TrainingKey   = "fine_tuner.training_data_id"
	ValidationKey = "fine_tuner.validation_data_id"
)

// Prepare reads, renders and tokenises the rows of the data sets. each, if there is
// one, gets every row with the key of its data set, in order.
func Prepare(ctx context.Context, job *engine.Job, base Base, each func(key string, r prepare.Row) error) (*Data, error) {
	s := job.Request.Specification.FineTuner
	d := &Data{}
	job.Stage(engine.StageTokenise)
	tok, err := token.Open(base.Tokens)
	if err != nil {
		return d, engine.Permanent("bad_model", err)
	}
	p := prepare.New(tok, prepare.Config{FineTuner: s, Now: job.Request.RequestedAt.UTC(), Positions: base.Positions})
	d.Training, err = d.read(ctx, job, p, dataKey{TrainingKey, s.TrainingDataID, "training.tokens", each})
	if err != nil {
		return d, err
	}
	if d.Rows = d.Datasets[0].Rows; s.ValidationDataID == "" {
		return d, nil
	}
	d.Validation, err = d.read(ctx, job, p, dataKey{ValidationKey, s.ValidationDataID, "validation.tokens", each})
	return d, err
}

// dataKey is a key that names a data set, its value, the file for its tokens, and who
// else gets its rows.
type dataKey struct {
	key, id, file string
	each          func(key string, r prepare.Row) error
}

// read prepares the data set that a key names, and records what it found.
func (d *Data) read(ctx context.Context, job *engine.Job, p *prepare.Preparer, k dataKey) (*examplefile.File, error) {
	src, err := job.Dataset(ctx, k.key, k.id)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Open(ctx, src, Want(job.Request.Specification.FineTuner))
	if err != nil {
		return nil, engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", k.key, err))
	}
	path, err := job.Scratch(k.file)
	if err != nil {
		return nil, err
	}
	w, err := examplefile.Create(path)
	if err != nil {
		return nil, err
	}
	tally := p.Tally(set.Info(), k.key)
	err = write(ctx, job, w, p, set, tally, k.each)
	d.Datasets = append(d.Datasets, tally.Dataset())
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := tally.Failure(); err != nil {
		return nil, errors.Join(engine.Permanent("nothing_to_learn", err), w.Close())
	}
	d.tell(ctx, job, set, tally)
	return w.Examples()
}

// Want is what the engines read of a data set.
func Want(s events.FineTuner) dataset.Want {
	return dataset.Want{
		Use:       dataset.Training,
		Prefers:   spec.Prefers(s),
		Shape:     shape.Shape(s.DataFormat),
		Encoding:  s.DataEncoding,
		Delimiter: s.DataDelimiter,
		Sees:      s.IsMultimodel && s.Engine != engine.Builtin,
		Columns: dataset.Columns{
			Question:       s.QuestionColumn,
			Answer:         s.GroundTruthColumn,
			System:         s.SystemPromptColumn,
			SystemOverride: s.SystemPromptOverrideText,
			Image:          s.ImageColumn,
		},
	}
}

// write prepares the rows of a data set, and writes what is trained on.
func write(ctx context.Context, job *engine.Job, w *examplefile.Writer, p *prepare.Preparer, set *dataset.Dataset, tally *prepare.Tally,
	each func(key string, r prepare.Row) error,
) error {
	done, total := int64(0), set.Info().Counts.Rows
	for row, err := range p.Rows(ctx, set) {
		if err != nil && ctx.Err() == nil {
			err = engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", tally.Key(), err))
		}
		if err != nil {
			return err
		}
		tally.Add(row)
		for _, e := range row.Examples {
			if err := w.Add(llm.Example{IDs: e.IDs, Count: e.Count}); err != nil {
				return err
			}
		}
		if each != nil {
			if err := each(tally.Key(), row); err != nil {
				return err
			}
		}
		done++
		engine.Prepared(ctx, job, done, total)
	}
	return nil
}

// tell warns of rows that are lost or cut if they are many, and notes them if they
// are few.
func (d *Data) tell(ctx context.Context, job *engine.Job, set *dataset.Dataset, tally *prepare.Tally) {
	for _, w := range set.Info().Warnings {
		engine.Warn(ctx, job, w)
	}
	for _, loss := range tally.Losses() {
		if loss.Notable() {
			engine.Warn(ctx, job, loss.String())
		} else {
			d.Notes = append(d.Notes, loss.String())
		}
	}
	d.Notes = append(d.Notes, set.Info().Notes...)
	if len(d.Datasets) == 1 { // the validation data is rendered alike
		d.Notes = append(d.Notes, tally.Notes()...)
	}
}
