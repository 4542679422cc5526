package llm

import (
	"errors"
	"testing"
)

// TestForeignTokens: a token that a model does not have is an error that can be told
// from those that another try may mend.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	beyond := int32(m.Config().VocabSize)
	err := m.Generate(t.Context(), [][]int32{{1, 2}, {1, beyond}}, GenerateConfig{MaxNewTokens: 2}, func(int, []int32) error { return nil })
	if fault, ok := errors.AsType[*TokenError](err); !ok || fault.ID != beyond || fault.Row != 1 || fault.Vocab != int(beyond) {
		t.Errorf("generate: %v", err)
	}
	rows := InMemory{{IDs: []int32{1, beyond}, Count: []bool{false, true}}}
	_, err = m.Train(t.Context(), rows, nil, TrainConfig{BatchSize: 1}, Hooks{}, "")
	if fault, ok := errors.AsType[*TokenError](err); !ok || fault.ID != beyond {
		t.Errorf("train: %v", err)
	}
	_, err = m.Train(t.Context(), lessons(m), rows, TrainConfig{BatchSize: 1, Epochs: 1}, Hooks{}, "")
	if fault, ok := errors.AsType[*TokenError](err); !ok || fault.ID != beyond {
		t.Errorf("validation: %v", err)
	}
}
