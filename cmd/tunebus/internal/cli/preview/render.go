package preview

import (
	"context"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/lossmask"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/services/finetune/prepare"
	questions "github.com/tunebus/tunebus/services/inference/inputs"
)

// readExamples prepares every row for a training.
func (p *Preview) readExamples(ctx context.Context, set *dataset.Dataset, d inputs.Data, by inputs.Renderer, shown int) error {
	s, tok := d.Specification.FineTuner, by.Tokenizer
	preparer := prepare.New(tok, prepare.Config{FineTuner: s, Now: now(), Positions: by.Positions})
	tally := preparer.Tally(set.Info(), d.Key)
	var lengths histogram
	for r, err := range preparer.Rows(ctx, set) {
		if err != nil {
			return err
		}
		tally.Add(r)
		for _, e := range r.Examples {
			lengths.add(e.Tokens)
		}
		if len(p.Rows) < shown {
			out := rowOf(r.Source)
			for _, e := range r.Examples {
				out.Sequences = append(out.Sequences, sequenceOf(e, tok))
			}
			p.Rows = append(p.Rows, out)
		}
	}
	p.measure(s.MaxSequenceLength, &lengths)
	counted := tally.Dataset()
	p.Counts.Rows, p.Counts.Dropped = counted.Rows, counted.Dropped
	p.Counts.CutInPrompt, p.Counts.CutInAnswer = counted.CutInPrompt, counted.CutInAnswer
	p.Counts.Examples = max(counted.Examples, counted.Rows)
	for _, loss := range tally.Losses() {
		p.tell(loss.Notable(), loss.String())
	}
	p.Notes = append(p.Notes, tally.Notes()...)
	if err := tally.Failure(); err != nil {
		p.Failure = err.Error()
	}
	return nil
}

// tell adds a warning or a note.
func (p *Preview) tell(warns bool, text string) {
	if warns {
		p.Warnings = append(p.Warnings, text)
	} else {
		p.Notes = append(p.Notes, text)
	}
}

func (p *Preview) measure(limit int, lengths *histogram) {
	p.Limit, p.Lengths, p.Histogram = limit, &lengths.total, lengths.result()
}

// sequenceOf is an example of a training.
func sequenceOf(e lossmask.Example, tok *token.Tokenizer) Sequence {
	out := Sequence{Text: e.Text, Counted: e.Spans, Tokens: e.Tokens, IDs: e.IDs, CountedTokens: []int{}}
	if out.Counted == nil {
		out.Counted = [][2]int{}
	}
	for i, counts := range e.Count {
		if counts {
			out.CountedTokens = append(out.CountedTokens, i)
		}
	}
	switch e.Cut {
	case lossmask.InPrompt:
		out.Cut = "prompt"
	case lossmask.InAnswer:
		out.Cut = "answer"
	}
	if e.Tokens > len(e.IDs) {
		if kept := tok.Decode(e.IDs, false); strings.HasPrefix(e.Text, kept) {
			out.Kept = &[2]int{0, len(kept)}
		}
	}
	return out
}

// readPrompts renders every row as inference does.
func (p *Preview) readPrompts(ctx context.Context, set *dataset.Dataset, s events.Inferencer, by inputs.Renderer, shown int) error {
	var lengths histogram
	tok, at, beyond := by.Tokenizer, now(), int64(0)
	for r, err := range set.Rows(ctx) {
		if err != nil {
			return err
		}
		text, err := questions.Render(tok, s, at, r)
		if err != nil {
			return err
		}
		prompt := promptOf(text, s.MaxSequenceLength, tok)
		lengths.add(prompt.Tokens)
		if by.Positions > 0 && len(prompt.IDs) > by.Positions {
			beyond++
		}
		if prompt.Cut != "" {
			p.Counts.CutInPrompt++
		}
		if len(p.Rows) < shown {
			one := rowOf(r)
			one.Sequences, one.Truths = []Sequence{prompt}, r.Truths
			p.Rows = append(p.Rows, one)
		}
	}
	p.measure(s.MaxSequenceLength, &lengths)
	if cut := p.Counts.CutInPrompt; cut > 0 {
		p.tell(10*cut > p.Counts.Rows, fmt.Sprintf("%s: %d of %d prompts lose their beginning: they are longer than inferencer.max_sequence_length = %d tokens",
			p.Key, cut, p.Counts.Rows, s.MaxSequenceLength))
	}
	if beyond > 0 {
		p.tell(10*beyond > p.Counts.Rows, fmt.Sprintf("%s: %d of %d %s", p.Key, beyond, p.Counts.Rows, questions.BeyondPositions(by.Positions)))
	}
	return nil
}

// promptOf is a prompt, of which nothing counts in a loss. A prompt that is too long
// loses its beginning.
func promptOf(text string, limit int, tok *token.Tokenizer) Sequence {
	ids := tok.Encode(text)
	out := Sequence{Text: text, Counted: [][2]int{}, CountedTokens: []int{}, Tokens: len(ids), IDs: ids}
	if limit > 0 && len(ids) > limit {
		out.Cut, out.IDs = "prompt", ids[len(ids)-limit:]
		if kept := tok.Decode(out.IDs, false); strings.HasSuffix(text, kept) {
			out.Kept = &[2]int{len(text) - len(kept), len(text)}
		}
	}
	return out
}
