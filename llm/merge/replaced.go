package merge

import (
	"strings"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// The names of the embedding and of the head, which a tied checkpoint does not have.
const (
	embedding = "model.embed_tokens" + weight
	head      = "lm_head" + weight
)

// matchReplaced finds the weights that the adapter has others for, and returns those
// that the checkpoint does not have. A tied checkpoint gets a head of its own where the
// adapter has another head, or another embedding.
func (m *merger) matchReplaced() (missing []string) {
	for _, name := range m.adapter.Replaces() {
		m.replaced[name] = true
	}
	embed, ok := m.from.find(embedding)
	if _, untied := m.from.find(head); ok && !untied && (m.replaced[head] || m.replaced[embedding]) {
		embed.Name, m.untied = headBeside(embed.Name), true
		m.from.add(embed)
	}
	for name := range m.replaced {
		if _, ok := m.from.find(name); !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// headBeside is the name of the head in a checkpoint whose embedding has a name: where
// older versions of transformers wrote the text part of a model that sees, both are in
// one place.
func headBeside(embed string) string {
	place, whole := strings.CutSuffix(embed, embedding)
	if !whole {
		return head
	}
	return place + head
}

// replace writes the weight that the adapter has in the place of a tensor.
func (m *merger) replace(w *safetensors.Writer, t tensor) error {
	values, err := m.adapter.Replacement(llm.PartName(t.Name), t.Shape)
	if err != nil {
		return err
	}
	m.options.OnBytes(t.Bytes)
	return w.Write(values)
}
