package inputs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/finetune/prepare"
	questions "github.com/tunebus/tunebus/services/inference/inputs"
)

// renderedRows is how many rows of each data set are rendered, to find what the chat
// template refuses. The engine renders all of them. They are more where nothing of the
// first ones is left to work with, since then one row decides whether the run can be done.
const renderedRows = 100

// renderedPrompts is the same for test sets, which are smaller: where these are all of them,
// a note about them is that of the engine, and is said once.
const renderedPrompts = 1000

// rendered is what was found in the rows of a data set.
type rendered struct {
	warnings      []string
	faults, notes structconf.Faults
}

// data opens a data set, and renders its first rows if the model is known.
func (c *checker) data(ctx context.Context, d Data, by Renderer) {
	if !d.builtin() {
		by.Positions = 0 // other engines know what they do with longer rows
	}
	set, err := d.Open(ctx)
	if err == nil {
		c.warn(set.Info().Warnings...)
		if by.Tokenizer != nil {
			var found rendered
			found, err = d.render(ctx, set, by)
			c.warn(found.warnings...)
			c.add(found.faults, found.notes)
		}
	}
	if err != nil && ctx.Err() == nil {
		c.fault(d.Key, err)
	}
}

// builtin reports whether the built-in engine reads the data.
func (d Data) builtin() bool {
	if d.IsTest() {
		return d.Specification.Inferencer.Engine == spec.Builtin
	}
	return d.Specification.FineTuner.Engine == spec.Builtin
}

// render renders the first rows as the engine does.
func (d Data) render(ctx context.Context, set *dataset.Dataset, by Renderer) (rendered, error) {
	if d.IsTest() {
		return d.renderPrompts(ctx, set, by)
	}
	return d.renderExamples(ctx, set, by)
}

// renderExamples renders the first rows of training or validation data, up to one that can
// be learned from. The error is also that of data of which nothing is left.
func (d Data) renderExamples(ctx context.Context, set *dataset.Dataset, by Renderer) (out rendered, err error) {
	p := prepare.New(by.Tokenizer, prepare.Config{FineTuner: d.Specification.FineTuner, Now: time.Now().UTC(), Positions: by.Positions})
	tally := p.Tally(set.Info(), d.Key)
	rows := 0
	for r, err := range p.Rows(ctx, set) {
		if err != nil {
			return out, err
		}
		tally.Add(r)
		if rows++; rows >= renderedRows && tally.Failure() == nil {
			break
		}
	}
	if longer, text := tally.Beyond(); longer > 0 {
		out.warnings = append(out.warnings, fmt.Sprintf("%s: %d of the first %d rows %s", d.Key, longer, rows, text))
	}
	return out, tally.Failure()
}

// prompts counts the first prompts of a test set.
type prompts struct {
	rows, cut, beyond, reaching int64
	longest                     int // tokens of one that reaches
	shortest                    int // tokens of any one
}

// renderPrompts renders the first rows as inference does, up to one that is not cut.
func (d Data) renderPrompts(ctx context.Context, set *dataset.Dataset, by Renderer) (out rendered, err error) {
	s := d.Specification.Inferencer
	var n prompts
	whole := true
	for r, err := range set.Rows(ctx) {
		var text string
		if err == nil {
			text, err = questions.Render(by.Tokenizer, s, time.Now().UTC(), r)
		}
		if err != nil {
			return out, err
		}
		tokens := len(by.Tokenizer.Encode(text))
		if tokens > s.MaxSequenceLength {
			n.cut++
		}
		if n.shortest == 0 || tokens < n.shortest {
			n.shortest = tokens
		}
		switch tokens = min(tokens, s.MaxSequenceLength); questions.Reach(tokens, s.MaxNewTokens, by.Positions) {
		case questions.Beyond:
			n.beyond++
		case questions.Reaching:
			n.reaching++
			n.longest = max(n.longest, tokens)
		}
		if n.rows++; n.rows >= renderedPrompts && n.cut < n.rows {
			whole = n.rows == set.Info().Counts.Rows
			break
		}
	}
	of := fmt.Sprintf("of the first %d", n.rows)
	if whole {
		of = fmt.Sprintf("of %d", n.rows)
	}
	if n.beyond > 0 {
		out.warnings = append(out.warnings, fmt.Sprintf("%s: %d of the first %d %s", d.Key, n.beyond, n.rows, questions.BeyondPositions(by.Positions)))
	}
	if n.reaching > 0 {
		out.notes = append(out.notes, questions.ReachingNote(s, fmt.Sprintf("%d %s", n.reaching, of), n.longest, by.Positions))
	}
	if n.rows > 0 && n.cut == n.rows && d.cutsPrompts(set) {
		out.faults = append(out.faults, structconf.Fault{Key: "inferencer.max_sequence_length", Value: strconv.Itoa(s.MaxSequenceLength), Message: fmt.Sprintf(
			"every one of %d prompts is longer and would lose its beginning; raise it: the shortest has %d tokens", n.rows, n.shortest)})
	}
	return out, nil
}

// cutsPrompts reports whether the engine cuts prompts that are too long. A server decides
// itself, and of images and texts the processor of the model makes tokens.
func (d Data) cutsPrompts(set *dataset.Dataset) bool {
	return d.Specification.Inferencer.Engine != spec.OpenAI && set.Info().Counts.Images == 0
}
