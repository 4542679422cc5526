package generator

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/dataset/imagefiles"
	"github.com/tunebus/tunebus/pipeline/dataset/imagepart"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// question is what is needed of a row once its answer comes. The names in JSON are those of a
// file that lives as long as the job.
type question struct {
	Of         string                `json:"of"`
	Opened     string                `json:"opened"`
	Tokens     int                   `json:"tokens"`
	Prediction prediction.Prediction `json:"row"`
}

// prompts are those of a pass. In memory is a number for each row.
type prompts struct {
	file    child.Prompts
	open    int64 // without an answer
	rows    *os.File
	offsets []int64 // of each row, and of the end
	ends    ends    // of the answers
}

func (p *prompts) close() { _ = p.rows.Close() } // it was read

// at reads what is needed of a row.
func (p *prompts) at(row int64) (q question, err error) {
	if row < 0 || row >= int64(len(p.offsets))-1 {
		return q, fmt.Errorf("row %d is none of %d rows", row, len(p.offsets)-1)
	}
	line := make([]byte, p.offsets[row+1]-p.offsets[row])
	if _, err = p.rows.ReadAt(line, p.offsets[row]); err == nil {
		err = json.Unmarshal(line, &q)
	}
	return q, err
}

// writePrompts renders and encodes the questions, and writes them for the command. The
// answers that are there already are counted.
func (w *work) writePrompts(ctx context.Context, p pass, tok *token.Tokenizer, folder string) (_ *prompts, err error) {
	fingerprint, err := json.Marshal([]any{w.job.Request.Specification.Inferencer, w.job.Request.Inputs.Model, p.artifact})
	if err != nil {
		return nil, err
	}
	out := &prompts{file: child.Prompts{Tokens: filepath.Join(folder, "prompts.jsonl"), Rows: w.questions.Rows, End: tok.EOS()}, offsets: []int64{0}, ends: ends{}}
	file, err := os.Create(out.file.Tokens)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if out.rows, err = os.Create(filepath.Join(folder, "questions.jsonl")); err != nil {
		return nil, err
	}
	lines, rows := bufio.NewWriterSize(file, 256<<10), bufio.NewWriterSize(out.rows, 256<<10)
	cut, index := int64(0), int64(0)
	pictures := imagefiles.Folder(filepath.Join(folder, "images"))
	for prompt, err := range w.questions.Prompts(ctx, w.job, tok) {
		if err != nil {
			return nil, errors.Join(err, out.rows.Close())
		}
		written, content, err := w.prompt(prompt, pictures)
		if err != nil {
			return nil, errors.Join(err, out.rows.Close())
		}
		out.file.Images += int64(len(written.Images))
		q := question{
			Of: fmt.Sprintf("%x", sha256.Sum256(append(content, fingerprint...)))[:24], Opened: prompt.Opened, Tokens: len(prompt.IDs),
			Prediction: inputs.Answered(prompt.Row, index, ""),
		}
		known, answered, err := w.answers.Find(p.artifact, index, q.Of)
		if err != nil {
			return nil, err
		}
		if answered {
			w.done++
			out.ends[known.FinishReason]++
			w.res.TokensOut += int64(known.Tokens)
			w.res.TokensIn += int64(known.PromptTokens - q.Tokens) // those that the command has counted
		} else {
			out.open++
		}
		if prompt.Cut {
			cut++
		}
		out.file.Longest = max(out.file.Longest, len(prompt.IDs))
		w.res.TokensIn += int64(len(prompt.IDs))
		written.Row, written.Answered = index, answered
		if err := errors.Join(write(lines, written, nil), write(rows, q, &out.offsets)); err != nil {
			return nil, err
		}
		w.job.Advance(1)
		index++
	}
	if err := errors.Join(lines.Flush(), rows.Flush()); err != nil {
		return nil, err
	}
	w.tellCut(ctx, cut)
	if cut == w.questions.Rows {
		return nil, engine.Permanent("prompts_cut", fmt.Errorf("%s: every one of %d prompts is longer than inferencer.max_sequence_length = %d tokens and would lose its beginning; raise it",
			inputs.TestingKey, cut, w.job.Request.Specification.Inferencer.MaxSequenceLength))
	}
	return out, nil
}

// prompt is a prompt as the command gets it, with all that its answer depends on. One of a
// test set with images has messages and the files of its images.
func (w *work) prompt(p inputs.Prompt, pictures imagefiles.Folder) (out child.Prompt, content []byte, err error) {
	if !w.questions.HasImages() {
		out.IDs = p.IDs
		content, err = json.Marshal(p.IDs)
		return out, content, err
	}
	out.IDs = []int32{}
	var messages []row.Message
	images := p.Row.Images
	for _, m := range p.Row.Prompt() {
		n := min(len(m.Images()), len(images))
		for _, image := range images[:n] {
			path, err := pictures.Add(image)
			if err != nil {
				return out, nil, inputs.BadDataset(fmt.Errorf("%s: %w", p.Row.Place, err))
			}
			out.Images = append(out.Images, path)
		}
		images = images[n:]
		messages = append(messages, imagepart.AsParts(m))
	}
	out.Messages = row.Conversation(messages)
	if !p.Row.Tools.IsMissing() {
		out.Tools = p.Row.Tools.AppendJSON(nil)
	}
	return out, []byte(p.Row.Digest()), nil
}

// tellCut warns of prompts that lose their beginning if they are many, and notes them
// if they are few.
func (w *work) tellCut(ctx context.Context, cut int64) {
	w.res.Datasets[0].CutInPrompt = cut
	text := fmt.Sprintf("%s: %d of %d prompts lose their beginning: they are longer than inferencer.max_sequence_length = %d tokens",
		inputs.TestingKey, cut, w.questions.Rows, w.job.Request.Specification.Inferencer.MaxSequenceLength)
	switch {
	case cut == 0:
	case 10*cut > w.questions.Rows:
		engine.Warn(ctx, w.job, text)
	default:
		w.res.Notes = append(w.res.Notes, text)
	}
}

// write writes a value as a line, and notes where the line ends.
func write(out *bufio.Writer, value any, offsets *[]int64) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return err
	}
	if offsets != nil {
		*offsets = append(*offsets, (*offsets)[len(*offsets)-1]+int64(len(line))+1)
	}
	return nil
}
