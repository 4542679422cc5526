// Package datacmd holds the command data preview, which looks at a data set before a
// run reads it.
package datacmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/help"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preview"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/datapreview"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Data is "tunebus data", the parent of the others.
func Data(*session.Session) *cobra.Command {
	c := &cobra.Command{Use: "data", Short: "Look at data sets", Long: about}
	help.Tells(c, "What data sets may look like")
	return c
}

// about is the help of "tunebus data".
const about = `A data set is a file, a folder, or an id of the Hugging Face Hub. It is named by
fine_tuner.training_data_id, fine_tuner.validation_data_id and
inferencer.testing_data_id.

Formats: JSON lines, JSON, CSV and TSV, Parquet, Arrow and Feather, XLSX. Text
may be compressed, .gz or .zst.

Shapes, which are found by the columns, or are named by data_format:

  question_answer    question and answer, or the columns of question_column
                     and ground_truth_column
  messages           messages: a list of objects with role and content
  conversations      conversations: a list of objects with from and value
  prompt_completion  prompt and completion
  alpaca             instruction and output; input, system, history
  text               text, of which every token is learned

The answer is learned, or each turn of the assistant. In a test the last turn of
the assistant is the ground truth, and what stands before it the prompt.

  tunebus data preview FILE_OR_ID   what an engine makes of a data set
  tunebus config doc data_format    where the shape is named`

// maxRows is the largest number of rows that a preview shows, because they are in
// memory.
const maxRows = 10_000

// uses are the values of --as.
func uses() map[string]string {
	return map[string]string{"training": inputs.Training, "validation": inputs.Validation, "testing": inputs.Testing}
}

type previewFlags struct {
	specification runrequest.Flags
	as, model     string
	rows          int
}

// Preview is "tunebus data preview".
func Preview(s *session.Session) *cobra.Command {
	var f previewFlags
	c := &cobra.Command{
		Use: "preview FILE_OR_ID", Short: "Show what an engine makes of a data set", Args: session.ExactlyOne("FILE_OR_ID"),
		Long: `Reads a data set as a run would, and shows its shape, how many rows are used,
left out or cut, how long they are, and the first rows as the model will see
them. What counts in the loss is coloured, or stands in [[brackets]].

A specification says how the rows are read and which model's chat template
renders them. Data that it names as validation or test data are read as that.`,
		Example: "  tunebus data preview configs/quickstart/train.jsonl\n" +
			"  tunebus data preview configs/quickstart/test.jsonl --as testing",
		RunE: func(c *cobra.Command, args []string) error {
			if _, ok := uses()[f.as]; f.as != "" && !ok {
				return exit.Input(fmt.Errorf("--as %s: want training, validation or testing", f.as))
			}
			if f.rows < 0 || f.rows > maxRows {
				return exit.Input(fmt.Errorf("--rows %d: want 0 to %s", f.rows, events.Count(maxRows)))
			}
			p, err := f.look(c, s, args[0])
			if err != nil {
				return err
			}
			if err := s.Console.Print(datapreview.Result(p)); err != nil {
				return err
			}
			if p.Failure != "" { // the preview says why
				return exit.Silent(exit.CodeInput)
			}
			return nil
		},
	}
	f.specification.AddSpecificationFlags(c)
	c.Flags().StringVar(&f.as, "as", "", "training, validation or testing; default: as the specification names the data, else training")
	c.Flags().StringVar(&f.model, "model", "", "folder or id of the model that renders the rows; default: the specification's")
	c.Flags().IntVar(&f.rows, "rows", 3, "number of rows to show")
	session.CompleteValues(c, "as", "training", "validation", "testing")
	return c
}

// look reads the data set.
func (f *previewFlags) look(c *cobra.Command, s *session.Session, name string) (preview.Preview, error) {
	checked, err := f.specification.Partial(c)
	if err != nil {
		return preview.Preview{}, err
	}
	cfg, err := s.Settings(f.specification.Files...)
	if err != nil {
		return preview.Preview{}, err
	}
	sources, err := service.Sources(cfg, s.Logger())
	if err != nil {
		return preview.Preview{}, exit.Input(err)
	}
	d := inputs.Data{Specification: checked.Specification, Key: f.key(checked, name)}
	setData(&d.Specification, d.Key, name)
	place, selected := source.Parse(name)
	fromHub := func(ctx context.Context, id, _ string) (string, error) { return sources.Hub.Dataset(ctx, id, selected) }
	if d.Path, err = find(c.Context(), name, place, fromHub, "data preview"); err != nil {
		return preview.Preview{}, err
	}
	by, err := f.renderer(c.Context(), checked, d.ModelKey(), sources.Hub.Model)
	if err != nil {
		return preview.Preview{}, err
	}
	p, err := preview.Of(c.Context(), d, name, by, f.rows)
	if err != nil && c.Context().Err() == nil {
		return p, exit.Input(err)
	}
	return p, err
}

// key is the key by whose section the data is read.
func (f *previewFlags) key(checked runrequest.Checked, name string) string {
	if f.as != "" {
		return uses()[f.as]
	}
	for _, key := range []string{inputs.Training, inputs.Validation, inputs.Testing} {
		set := spec.Source(checked.Specification, key)
		if set.Name != "" && (set.Name == name || samePath(checked, set, name)) {
			return set.Key
		}
	}
	return inputs.Training
}

// samePath reports whether a key of a specification names the same path.
func samePath(checked runrequest.Checked, set source.Source, name string) bool {
	path, exists := checked.Local(set.Key, set.Name)
	if !exists {
		return false
	}
	a, err := filepath.Abs(path)
	b, err2 := filepath.Abs(name)
	return err == nil && err2 == nil && a == b
}

// setData has a key name a data set.
func setData(s *events.Specification, key, name string) {
	switch key {
	case inputs.Training:
		s.FineTuner.TrainingDataID = name
	case inputs.Validation:
		s.FineTuner.ValidationDataID = name
	default:
		s.Inferencer.TestingDataID = name
	}
}

// fetch gets something from the Hub, and returns its folder.
type fetch = func(ctx context.Context, id, revision string) (string, error)

// find returns the path of what a person names: a file, a folder, or an id of the Hub
// with this place. what is how the person calls it.
func find(ctx context.Context, name, place string, fromHub fetch, what string) (string, error) {
	for _, path := range []string{name, place} {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() && !info.Mode().IsRegular() { // a pipe may never be written, and /dev/zero never ends
			return "", exit.Input(fmt.Errorf("%s %s is a pipe, a socket or a device; write its content to a file", what, name))
		}
		if err == nil {
			return path, nil
		}
	}
	if !spec.IsHubID(place) {
		return "", exit.Input(fmt.Errorf("%s %s: no such file or folder, and no id of the Hugging Face Hub", what, name))
	}
	dir, err := fromHub(ctx, place, "")
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err) // which names the id
	}
	return dir, nil
}

// renderer opens the model that renders the rows, if one is named.
func (f *previewFlags) renderer(ctx context.Context, checked runrequest.Checked, key string, fromHub fetch) (inputs.Renderer, error) {
	what, name, path := "--model", f.model, f.model
	if name == "" {
		what, name = key, spec.Value(checked.Specification, key)
		if name == structconf.Null {
			return inputs.Renderer{}, nil
		}
		path, _ = checked.Local(key, name)
	}
	if !exists(path) {
		var err error
		if path, err = find(ctx, name, name, fromHub, what); err != nil {
			return inputs.Renderer{}, err
		}
	}
	by, err := inputs.Model(path, name)
	if errors.Is(err, inputs.ErrNoTokenizer) {
		err = fmt.Errorf("%s is an adapter without a tokenizer; --model names its base model", name)
	}
	if err != nil {
		return by, exit.Input(fmt.Errorf("%s: %w", what, err))
	}
	for i, note := range by.Notes {
		by.Notes[i] = what + ": " + note
	}
	return by, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
