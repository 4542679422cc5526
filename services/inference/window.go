package inference

import (
	"iter"

	"github.com/tunebus/tunebus/services/inference/inputs"
)

// window is a stretch of the rows, which are in memory together. A model answers it
// in batches of similar lengths.
type window struct {
	first   int64 // index of its first row
	prompts []inputs.Prompt
}

// The size of a window: so many rows, and not many more tokens. It depends on the
// data alone, so that a later attempt has the same batches.
const (
	windowRows   = 1024
	windowTokens = 4 << 20
)

// windows gathers prompts in windows of whole batches, of at least so many rows.
func windows(prompts iter.Seq2[inputs.Prompt, error], rows, batch int) iter.Seq2[window, error] {
	batch = max(batch, 1)
	rows = (rows + batch - 1) / batch * batch
	return func(yield func(window, error) bool) {
		var w window
		tokens := 0
		for p, err := range prompts {
			if err != nil {
				yield(window{}, err)
				return
			}
			w.prompts = append(w.prompts, p)
			tokens += len(p.IDs)
			n := len(w.prompts)
			if n < rows && (tokens < windowTokens || n%batch != 0) {
				continue
			}
			if !yield(w, nil) {
				return
			}
			w, tokens = window{first: w.first + int64(n)}, 0
		}
		if len(w.prompts) > 0 {
			yield(w, nil)
		}
	}
}
