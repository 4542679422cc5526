package preview

import (
	"context"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
)

// Preview is a look at a data set. Its JSON is part of the program's interface.
type Preview struct {
	// Source is the data set as the person named it, and Key the key of the
	// specification that says how it is read.
	Source string `json:"source"`
	Key    string `json:"key"`
	Shape  string `json:"shape"`
	Format string `json:"format"`
	// Config and Split are what was read of a folder or a repository.
	Config string   `json:"config,omitempty"`
	Split  string   `json:"split,omitempty"`
	Files  []string `json:"files"`
	Bytes  int64    `json:"bytes"`
	Counts Counts   `json:"counts"`
	// Limit is the longest sequence in tokens, and Lengths are those before
	// anything is cut. Without a model there are none.
	Limit     int      `json:"max_sequence_length,omitempty"`
	Lengths   *Lengths `json:"lengths,omitempty"`
	Histogram []Bucket `json:"histogram,omitempty"`
	Rows      []Row    `json:"rows"`
	Notes     []string `json:"notes,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	// Failure is the reason why there is nothing to train on.
	Failure string `json:"failure,omitempty"`
}

// Counts are the rows of the data set.
type Counts struct {
	// Read is the number of rows in the files, Rows that of the rows that the engine
	// uses, and Examples that of the sequences to train on; 0 without a model.
	Read     int64 `json:"rows_read"`
	Rows     int64 `json:"rows"`
	Examples int64 `json:"examples,omitempty"`
	// WithoutAnswer is the number of rows without an answer to learn, or without a
	// ground truth.
	WithoutAnswer int64 `json:"without_answer"`
	Dropped       int64 `json:"dropped"`
	CutInPrompt   int64 `json:"cut_in_prompt"`
	CutInAnswer   int64 `json:"cut_in_answer"`
	Images        int64 `json:"images,omitempty"`
}

// Row is one of the first rows.
type Row struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Unit is what Line counts: "line" or "row".
	Unit     string `json:"unit,omitempty"`
	Position int64  `json:"position"`
	// Turns are the row without a model.
	Turns []Turn `json:"turns,omitempty"`
	// Sequences are what the model sees.
	Sequences []Sequence `json:"sequences,omitempty"`
	// Truths are the right answers of a row of a test.
	Truths []string `json:"ground_truths,omitempty"`
	Images int      `json:"images,omitempty"`
}

// Turn is a message, or a plain text, which has no role.
type Turn struct {
	Role    string `json:"role,omitempty"`
	Text    string `json:"text"`
	Counted bool   `json:"counted"`
}

// Sequence is what the model sees of a row: a text, and its tokens.
type Sequence struct {
	Text string `json:"text"`
	// Counted are the parts of the text that count in the loss, each from a byte to
	// the byte behind it. The JSON counts characters (code points).
	Counted [][2]int `json:"counted"`
	// Tokens is the number of tokens of the whole text, IDs are those that are left
	// when it is cut, and CountedTokens the positions among them that count.
	Tokens        int     `json:"tokens"`
	IDs           []int32 `json:"ids"`
	CountedTokens []int   `json:"counted_tokens"`
	// Cut is "prompt" or "answer" where something is lost.
	Cut string `json:"cut,omitempty"`
	// Kept is the part of the text that is left of it, from a byte to the byte
	// behind it; nil where all is left, or where a character is cut. The JSON counts
	// characters.
	Kept *[2]int `json:"kept,omitempty"`
}

// Of reads a data set to its end. name is what the person calls it. Without a
// tokenizer the rows are not rendered. shown is how many rows the preview has.
func Of(ctx context.Context, d inputs.Data, name string, by inputs.Renderer, shown int) (Preview, error) {
	set, err := d.Open(ctx)
	if err != nil {
		return Preview{}, err
	}
	p := begin(set, d, name)
	p.Notes = append(p.Notes, by.Notes...)
	switch {
	case by.Tokenizer == nil:
		err = p.readTurns(ctx, set, d.IsTest(), shown)
	case d.IsTest():
		err = p.readPrompts(ctx, set, d.Specification.Inferencer, by, shown)
	default:
		err = p.readExamples(ctx, set, d, by, shown)
	}
	return p, err
}

// begin returns what is known before the rows are rendered.
func begin(set *dataset.Dataset, d inputs.Data, name string) Preview {
	info := set.Info()
	c := Counts{
		Read:          max(info.Counts.Read, info.Counts.Rows),
		Rows:          info.Counts.Rows,
		WithoutAnswer: info.Counts.MissingAnswers,
		Dropped:       info.Counts.Dropped,
		Images:        info.Counts.Images,
	}
	if d.IsTest() {
		c.WithoutAnswer = info.Counts.MissingTruths
	}
	return Preview{
		Source:   name,
		Key:      d.Key,
		Shape:    string(info.Shape),
		Format:   fmt.Sprint(info.Format),
		Config:   info.Config,
		Split:    string(info.Split),
		Files:    info.Files,
		Bytes:    info.Bytes,
		Counts:   c,
		Rows:     []Row{},
		Notes:    info.Notes,
		Warnings: info.Warnings,
	}
}

// readTurns reads the first rows without a model.
func (p *Preview) readTurns(ctx context.Context, set *dataset.Dataset, test bool, shown int) error {
	if shown < 1 {
		return nil
	}
	for r, err := range set.Rows(ctx) {
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, turnsOf(r, test))
		if len(p.Rows) == shown {
			break
		}
	}
	return nil
}

// turnsOf is a row without a model.
func turnsOf(r row.Row, test bool) Row {
	out, messages := rowOf(r), r.Messages
	if test {
		messages, out.Truths = r.Prompt(), r.Truths
	}
	if r.IsText() {
		out.Turns = []Turn{{Text: r.Text, Counted: !test}}
	}
	for i, m := range messages {
		text, ok := m.Text()
		if !ok || m.Calls() {
			text = string(m.Value().AppendJSON(nil))
		}
		counts := !test && m.Role() == row.Assistant && i >= r.Prompted && !m.IsUnweighted()
		out.Turns = append(out.Turns, Turn{Role: m.Role(), Text: text, Counted: counts})
	}
	return out
}

func rowOf(r row.Row) Row {
	return Row{File: r.Place.File, Line: r.Place.Line, Unit: r.Place.Unit, Position: r.Place.Position, Images: len(r.Images)}
}

// now is the time that a chat template may ask for.
func now() time.Time { return time.Now().UTC() }
