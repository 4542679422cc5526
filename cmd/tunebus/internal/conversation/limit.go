package conversation

import (
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/llm/token"
)

// limit is how many tokens of a conversation a model sees.
type limit struct {
	// prompt is the most that it is asked with; 0: no limit.
	prompt int
	// positions is for how many it was made, its answer among them; 0: its files do not say.
	// reserve of them are left to the answer, where a conversation has turns to forget.
	positions, reserve int
}

// limit is that of a model's files and of the options.
func (p *Partner) limit() limit {
	positions := p.model.Config().Positions()
	// An answer that may be as long as all that the model sees would leave it nothing to see.
	return limit{prompt: p.options.MaxPrompt, positions: positions, reserve: max(1, min(p.options.Generate.MaxNewTokens, positions/2))}
}

// excess says how a conversation of so many tokens is too long beside so many of its
// answer; empty: it is not.
func (l limit) excess(tokens, answer int) string {
	switch {
	case l.prompt > 0 && tokens > l.prompt:
		return fmt.Sprintf("has %d tokens, and inferencer.max_sequence_length is %d", tokens, l.prompt)
	case l.positions > 0 && tokens+answer > l.positions:
		return fmt.Sprintf("has %d tokens, and the model was made for %d, its answer among them (max_position_embeddings in its config.json)", tokens, l.positions)
	}
	return ""
}

// ErrTooLong says that a single turn does not fit.
var ErrTooLong = errors.New("the message is longer than the model's prompt may be")

// seen is what a model sees of a conversation.
type seen struct {
	ids       []int32
	forgotten int // turns at the beginning that it does not see
	// excess is how the whole conversation is too long; empty: it is not.
	excess string
}

// prompt renders the conversation. The oldest turns are left out until the rest fits; the
// last one needs room for one token of an answer alone.
func (p *Partner) prompt(l limit) (seen, error) {
	var out seen
	for {
		var all []token.Message
		if p.options.System != "" {
			all = append(all, token.Message{Role: "system", Content: p.options.System})
		}
		text, err := p.tok.Render(append(all, p.turns[out.forgotten:]...), true)
		if err != nil {
			return out, err
		}
		out.ids = p.tok.Encode(text)
		last, answer := out.forgotten+1 >= len(p.turns), l.reserve
		if last {
			answer = 1
		}
		excess := l.excess(len(out.ids), answer)
		if out.forgotten == 0 {
			out.excess = excess
		}
		switch {
		case excess == "":
			return out, nil
		case last && p.options.System != "":
			return out, fmt.Errorf("%w: with the system prompt it %s", ErrTooLong, excess)
		case last:
			return out, fmt.Errorf("%w: it %s", ErrTooLong, excess)
		}
		out.forgotten += 2
	}
}
