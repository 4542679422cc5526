// Package fitting refuses a model that does not fit into the memory, before its weights
// are read.
//
//	err := fitting.Check(hostmemory.Machine(), "the base model", llm.Answering{Dir: dir}, "")
package fitting

import (
	"fmt"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
)

// Error says that a model does not fit, with the numbers and what would help.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

// Check returns an [*Error] if a model does not fit into the memory that is left with one
// short row. four is what brings the weights to 4 bits, such as a key of a specification;
// empty: nothing does. What else is wrong with the model its opening says.
func Check(host hostmemory.Host, name string, a llm.Answering, four string) error {
	needed, err := a.Memory(1, generation.BlockTokens)
	if err != nil {
		return nil
	}
	free, known := host.Available()
	if !known || needed.Sum() <= free.Bytes {
		return nil
	}
	advice := "take a smaller model, or answer where there is more memory"
	if a.Bits != 4 && four != "" {
		a.Bits = 4
		if m, err := a.Memory(1, generation.BlockTokens); err == nil && m.Sum() < needed.Sum()*19/20 {
			fits := m.Sum() <= free.Bytes
			instead := fmt.Sprintf("it would need %s with %s", hostmemory.Size(m.Sum()), four)
			if !fits {
				instead += ", which is still too much: " + advice
			}
			advice = instead
		}
	}
	return &Error{fmt.Sprintf("%s needs %s of memory to answer, and %s has %s left: weights %s, keys and values of one row %s, other %s; %s", name,
		hostmemory.Size(needed.Sum()), free.Of, hostmemory.Size(free.Bytes), hostmemory.Size(needed.Weights), hostmemory.Size(needed.Activations), hostmemory.Size(needed.Other), advice)}
}
