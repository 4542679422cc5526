package merge

import (
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
		embed.Name, m.untied = head, true
		m.from.add(embed)
	}
	for name := range m.replaced {
		if _, ok := m.from.find(name); !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// replace writes the weight that the adapter has in the place of a tensor.
func (m *merger) replace(w *safetensors.Writer, t tensor) error {
	values, err := m.adapter.Replacement(t.Name, t.Shape)
	if err != nil {
		return err
	}
	m.options.OnBytes(t.Bytes)
	return w.Write(values)
}
