package prepare

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/llm/token/lossmask"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// pairState is what became of a row with a chosen and a rejected answer.
type pairState int

const (
	noPair pairState = iota
	usedPair
	cutPair
	// equalPair: both answers are the same, so that there is nothing to prefer.
	equalPair
	// splitPair: the template renders the turns of an answer apart.
	splitPair
)

// IsPair reports whether the row has a chosen and a rejected answer. Then it has two
// examples, in this order. What counts in them begins at the same position, before which
// they have the same tokens; nothing counts if the row cannot be used.
func (r Row) IsPair() bool { return r.pair != noPair }

// preparePair renders and encodes both answers of a row, each as the answer to the same
// prompt.
func (p *Preparer) preparePair(r row.Row) (Row, error) {
	out := Row{Source: r, pair: usedPair}
	var sides []lossmask.Example
	for i, messages := range [][]row.Message{r.Messages, r.Rejected} {
		c := lossmask.Conversation{Messages: conversation(messages), Prompted: r.Prompted, Pair: true}
		if r.Tools.Kind() != value.Missing {
			c.Tools = json.RawMessage(r.Tools.AppendJSON(nil))
		}
		masked, err := p.masker.Conversation(c)
		if err != nil {
			return Row{}, fmt.Errorf("%s: %s: %w", r.Place, []string{"chosen", "rejected"}[i], err)
		}
		if i == 0 {
			out.Row = masked
			out.unwritten = !writes(masked, r.ToolNames())
		}
		if len(masked.Examples) != 1 {
			out.pair = splitPair
			sides = append(sides, lossmask.Example{})
			continue
		}
		sides = append(sides, masked.Examples[0])
	}
	out.Split = false
	out.Examples = sides
	if out.pair == usedPair {
		out.pair = splitSides(sides)
	}
	if out.pair != usedPair {
		for i := range sides {
			sides[i].Count = make([]bool, len(sides[i].IDs))
		}
	}
	return out, nil
}

// splitSides has all from one position on count in both sides: from where the first of
// the answers begins, and no token later than where both differ.
func splitSides(sides []lossmask.Example) pairState {
	chosen, rejected := sides[0], sides[1]
	if chosen.Cut == lossmask.InPrompt || rejected.Cut == lossmask.InPrompt || chosen.Counted() == 0 || rejected.Counted() == 0 {
		return cutPair
	}
	if slices.Equal(chosen.IDs, rejected.IDs) {
		return equalPair
	}
	start := min(slices.Index(chosen.Count, true), slices.Index(rejected.Count, true))
	for i := range start {
		if chosen.IDs[i] != rejected.IDs[i] {
			start = i
			break
		}
	}
	for i := range sides {
		count := make([]bool, len(sides[i].IDs))
		for at := start; at < len(count); at++ {
			count[at] = true
		}
		sides[i].Count = count
	}
	return usedPair
}
