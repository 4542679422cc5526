package evaluation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

// blanks counts the answers of which nothing can be read. They are scored as any other
// text, so that nothing else of a result says that the model answered nothing.
type blanks struct {
	answers, empty int64
	// right are those whose ground truth is empty, too.
	right int64
	// told are those of which another note says where their text is: in a think block.
	told int64
}

// add counts an answer. told is set if a think block of it was told of.
func (b *blanks) add(p prediction.Prediction, told bool) {
	if p.NoAnswer {
		return
	}
	b.answers++
	if strings.TrimSpace(p.Answer) != "" {
		return
	}
	b.empty++
	switch {
	case slices.ContainsFunc(p.Truths(), func(truth string) bool { return strings.TrimSpace(truth) == "" }):
		b.right++
	case told && p.Reasoning != "":
		b.told++
	}
}

// note says how many answers are empty; it is empty if none is, or if all of them are as
// they should be or told of. help is what to look at where most are empty.
func (b *blanks) note(help string) string {
	if b.empty == b.right+b.told {
		return ""
	}
	note := fmt.Sprintf("%d of %d answers are empty, and are scored as empty texts", b.empty, b.answers)
	if b.right > 0 {
		note += fmt.Sprintf("; the ground truths of %d of them are empty, too", b.right)
	}
	if 2*b.empty >= b.answers {
		note += "; " + help
	}
	return note
}

// What to look at where most answers are empty, of answers that the run made, and of
// those of a file.
const (
	emptyOfModel = `the model ends them at once: "tunebus data preview" with --as testing shows its prompts, which have to look as those that it was trained with`
	emptyOfFile  = "evaluator.answer_column names the column of the answers"
)
