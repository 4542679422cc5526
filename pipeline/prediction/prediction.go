// Package prediction reads and writes the file of a model's answers: inference
// writes it, evaluation reads it. It holds JSON lines, one answered row each, in
// the order of the data set.
//
//	w := prediction.NewWriter(file, 0)
//	err := w.Write(prediction.Prediction{Index: 0, Question: "Who?", Answer: "Ada."})
//	err = w.Flush()
//
//	for p, err := range prediction.Read(file) {
//		…
//	}
package prediction

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// FileName is the artifact's file name. It is the name that the original Python
// pipeline uses.
const FileName = "inferencer_output.jsonl"

// BaselineFileName is the file name of the base model's answers.
const BaselineFileName = "inferencer_baseline_output.jsonl"

// MediaType is the media type of JSON lines.
const MediaType = "application/jsonl"

// Prediction is one answered row.
type Prediction struct {
	// Index is the row's place in the data set, from 0.
	Index    int64
	System   string
	Question string
	// GroundTruth is the right answer. It is empty and NoGroundTruth is set if the
	// data has none; that a model should answer nothing is an empty text without
	// NoGroundTruth.
	GroundTruth   string
	NoGroundTruth bool
	// References are all right answers where the data has several, GroundTruth as
	// the first of them.
	References []string
	// KeyFact is the fact that a right answer contains; empty where the data has
	// none.
	KeyFact string
	// Answer is what the model answered, without its reasoning. It is empty and
	// NoAnswer is set if there is none.
	Answer   string
	NoAnswer bool
	// Reasoning is what the model wrote before its answer, in a think block.
	Reasoning string
	// Tokens is the length of the answer in tokens; 0 if it is unknown.
	Tokens int
	// PromptTokens is the length of the prompt in tokens, as a server counted it; 0 if
	// it is unknown.
	PromptTokens int
	// FinishReason is why the answer ends, in the words of the server that gave it, such
	// as "stop" or "length"; empty if it is unknown.
	FinishReason string
	// Error is the reason why there is no answer.
	Error string
}

// Truths are the right answers; none if the data has none.
func (p Prediction) Truths() []string {
	switch {
	case p.NoGroundTruth:
		return nil
	case len(p.References) > 0:
		return p.References
	}
	return []string{p.GroundTruth}
}

// ErrEmpty is the error of a file without predictions.
var ErrEmpty = errors.New("the file has no predictions")

// maxLine bounds a line, so that a file of another format is refused before it
// fills the memory.
const maxLine = 16 << 20

// Read reads predictions one by one. It ends after the first error, which names
// the line.
func Read(r io.Reader) iter.Seq2[Prediction, error] {
	return func(yield func(Prediction, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 64<<10), maxLine)
		n, rows := 0, int64(0)
		for lines.Scan() {
			n++
			if len(lines.Bytes()) == 0 {
				continue
			}
			p := Prediction{Index: rows}
			if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
				yield(Prediction{}, fmt.Errorf("predictions: line %d: %w", n, err))
				return
			}
			rows++
			if !yield(p, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case err != nil:
			yield(Prediction{}, fmt.Errorf("predictions: line %d: %w", n+1, err))
		case rows == 0:
			yield(Prediction{}, ErrEmpty)
		}
	}
}

// Writer writes predictions in the order of their indexes, in whatever order
// they come.
type Writer struct {
	w       *bufio.Writer
	next    int64
	waiting map[int64]Prediction // for those before them
}

// NewWriter returns a writer whose first prediction has the index first.
func NewWriter(w io.Writer, first int64) *Writer {
	return &Writer{w: bufio.NewWriter(w), next: first, waiting: map[int64]Prediction{}}
}

// Write writes a prediction, or keeps it in memory until those before it are
// written.
func (w *Writer) Write(p Prediction) error {
	w.waiting[p.Index] = p
	for {
		p, ok := w.waiting[w.next]
		if !ok {
			return nil
		}
		delete(w.waiting, w.next)
		w.next++
		line, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("prediction %d: %w", p.Index, err)
		}
		if _, err := w.w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("prediction %d: %w", p.Index, err)
		}
	}
}

// Flush writes the buffer. It fails if a prediction is missing.
func (w *Writer) Flush() error {
	if len(w.waiting) > 0 {
		return fmt.Errorf("prediction %d is missing, %d later ones wait for it", w.next, len(w.waiting))
	}
	return w.w.Flush()
}
