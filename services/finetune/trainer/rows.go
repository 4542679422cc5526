package trainer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/examplefile"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/dataset/imagefiles"
	"github.com/tunebus/tunebus/pipeline/dataset/imagepart"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

// preparedRows are the rows of the data sets in the files of a trainer.
type preparedRows struct {
	training   child.Rows
	validation *child.Rows
	datasets   []events.Dataset
	notes      []string
}

// prepareRows prepares the rows as for the built-in engine, and writes them for a
// trainer. In memory are some bytes for each row.
func prepareRows(ctx context.Context, job *engine.Job, base inputs.Base, folder string) (preparedRows, error) {
	var out preparedRows
	messages := map[string]*messageFile{}
	defer func() {
		for _, m := range messages {
			m.close()
		}
	}()
	data, err := inputs.Prepare(ctx, job, base, func(key string, r prepare.Row) error {
		if !isUsed(r) {
			return nil
		}
		if messages[key] == nil {
			m, err := createMessages(filepath.Join(folder, key+".unordered"))
			if err != nil {
				return err
			}
			messages[key] = m
		}
		return messages[key].add(r)
	})
	defer data.Release()
	out.datasets, out.notes = data.Datasets, data.Notes
	if err != nil {
		return out, err
	}
	defer progress.Doing(ctx, "writing the rows for the trainer")()
	s := job.Request.Specification.FineTuner
	w := rowWriter{ctx: ctx, seed: uint64(s.Seed), folder: folder, pairs: spec.Prefers(s)}
	if out.training, err = w.write("training", data.Training, messages[inputs.TrainingKey]); err != nil || data.Validation == nil {
		return out, err
	}
	validation, err := w.write("validation", data.Validation, messages[inputs.ValidationKey])
	out.validation = &validation
	return out, err
}

// isUsed reports whether anything of a row counts.
func isUsed(r prepare.Row) bool {
	for _, e := range r.Examples {
		if e.Counted() > 0 {
			return true
		}
	}
	return false
}

// messageFile keeps rows as JSON lines, until their order is known.
type messageFile struct {
	file    *os.File
	w       *bufio.Writer
	offsets []int64 // of the begin of each row, and of the end
	images  imagefiles.Folder
	count   int64 // of the images
}

func createMessages(path string) (*messageFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the file of messages: %w", err)
	}
	return &messageFile{file: f, w: bufio.NewWriter(f), offsets: []int64{0}, images: imagefiles.Folder(filepath.Join(filepath.Dir(path), "images"))}, nil
}

// messageLine is a line of the file [child.Rows.Messages].
type messageLine struct {
	Messages json.RawMessage `json:"messages,omitempty"`
	Text     *string         `json:"text,omitempty"`
	Prompted int             `json:"prompted,omitempty"`
	Rejected json.RawMessage `json:"rejected,omitempty"`
	Tools    json.RawMessage `json:"tools,omitempty"`
	Truth    *string         `json:"ground_truth,omitempty"`
	Truths   []string        `json:"ground_truths,omitempty"`
	Images   []string        `json:"images,omitempty"` // files, in the order of their places in the messages
}

func (m *messageFile) add(r prepare.Row) error {
	line := messageLine{Prompted: r.Source.Prompted}
	if r.Source.IsText() {
		line.Text = &r.Source.Text
	} else {
		line.Messages = asJSON(r.Source.Messages, len(r.Source.Images) > 0)
	}
	if r.IsPair() {
		line.Rejected = asJSON(r.Source.Rejected[r.Source.Prompted:], len(r.Source.Images) > 0)
	}
	if r.Source.Tools.Kind() != value.Missing {
		line.Tools = r.Source.Tools.AppendJSON(nil)
	}
	if truths := r.Source.Truths; len(truths) > 0 {
		line.Truth = &truths[0]
		if len(truths) > 1 {
			line.Truths = truths
		}
	}
	for _, image := range r.Source.Images {
		path, err := m.images.Add(image)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Source.Place, err)
		}
		line.Images = append(line.Images, path)
	}
	m.count += int64(len(line.Images))
	body, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Source.Place, err)
	}
	if _, err := m.w.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("write messages: %w", err)
	}
	m.offsets = append(m.offsets, m.offsets[len(m.offsets)-1]+int64(len(body))+1)
	return nil
}

// asJSON are messages as JSON. Their contents are texts where they are lists of texts,
// unless their row has images: then all are lists of parts.
func asJSON(messages []row.Message, parts bool) json.RawMessage {
	out := make([]row.Message, len(messages))
	for i, one := range messages {
		if out[i] = one.Flat(); parts {
			out[i] = imagepart.AsParts(one)
		}
	}
	return row.Conversation(out)
}

func (m *messageFile) close() { _ = m.file.Close() } // what it held was copied

// rowWriter writes rows in the order of the seed.
type rowWriter struct {
	ctx    context.Context
	seed   uint64
	folder string
	pairs  bool // of examples: a chosen and a rejected answer
}

// order is the order of n rows. The built-in engine has the same one, in every epoch.
func (w rowWriter) order(n int) []int {
	const firstEpoch = 1000
	return rand.New(rand.NewPCG(w.seed, firstEpoch)).Perm(n)
}

func (w rowWriter) write(set string, examples *examplefile.File, messages *messageFile) (child.Rows, error) {
	rows := child.Rows{
		Tokens:   filepath.Join(w.folder, set+".tokens.jsonl"),
		Messages: filepath.Join(w.folder, set+".messages.jsonl"),
		Pairs:    w.pairs,
	}
	var used []int32
	for i := range examples.Len() {
		if all, counted := examples.Tokens(i); counted > 0 {
			if !w.pairs || i%2 == 0 {
				used = append(used, int32(i))
			}
			rows.Longest = max(rows.Longest, all)
		}
	}
	rows.Examples, rows.Rows, rows.Images = int64(len(used)), int64(len(messages.offsets)-1), messages.count
	err := w.lines(rows.Tokens, len(used), func(i int) ([]byte, error) {
		if w.pairs {
			return pairLine(examples, int(used[i]))
		}
		e, err := examples.Example(int(used[i]))
		if err != nil {
			return nil, err
		}
		if len(e.Count) > 0 {
			e.Count[0] = false // nothing predicts it
		}
		line, err := json.Marshal(child.Example{IDs: e.IDs, Counted: child.Ranges(e.Count)})
		return append(line, '\n'), err
	})
	if err != nil {
		return rows, err
	}
	if err := messages.w.Flush(); err != nil {
		return rows, fmt.Errorf("write messages: %w", err)
	}
	err = w.lines(rows.Messages, int(rows.Rows), func(i int) ([]byte, error) {
		line := make([]byte, messages.offsets[i+1]-messages.offsets[i])
		_, err := messages.file.ReadAt(line, messages.offsets[i])
		return line, err
	})
	return rows, errors.Join(err, os.Remove(messages.file.Name()))
}

// pairLine is the line of two examples that follow each other.
func pairLine(examples *examplefile.File, at int) ([]byte, error) {
	chosen, err := examples.Example(at)
	if err != nil {
		return nil, err
	}
	rejected, err := examples.Example(at + 1)
	if err != nil {
		return nil, err
	}
	start := slices.Index(chosen.Count, true) // is the same in both
	line, err := json.Marshal(child.Pair{Prompt: chosen.IDs[:start], Chosen: chosen.IDs[start:], Rejected: rejected.IDs[start:]})
	return append(line, '\n'), err
}

// lines writes a file of n lines in the order of the seed.
func (w rowWriter) lines(path string, n int, line func(i int) ([]byte, error)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create the rows of the trainer: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 256<<10)
	for _, i := range w.order(n) {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		body, err := line(i)
		if err != nil {
			return fmt.Errorf("write the rows of the trainer: %w", err)
		}
		if _, err := out.Write(body); err != nil {
			return fmt.Errorf("write the rows of the trainer: %w", err)
		}
		progress.Advance(w.ctx, 1)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the rows of the trainer: %w", err)
	}
	return nil
}
