// Package checkpoint checks a folder with a model before it is used: its
// configuration, the way in which its weights are stored, the tokenizer and the
// chat template against each other. It reads no weights, so that it takes
// milliseconds.
//
//	report, err := checkpoint.Check("models/base", "models/base")
//	for _, note := range report.Notes { … }
package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
)

// Report is what was found in a checkpoint that can be used.
type Report struct {
	llm.Inspection
	// Tokenizer is the tokenizer; nil if it cannot be used.
	Tokenizer *token.Tokenizer
	// Notes say what is unusual, and what is done about it.
	Notes []string
}

// VocabularyError says that the tokenizer has tokens for which the model has no
// embedding.
type VocabularyError struct {
	Dir string
	// Tokens is one more than the highest id of the tokenizer, Rows how many
	// rows the embedding has.
	Tokens, Rows int
	// Example is a token without a row.
	Example string
}

func (e *VocabularyError) Error() string {
	return fmt.Sprintf("checkpoint %s: the tokenizer has %d tokens and the embedding %d rows, so that %q (%d) has none; "+
		"take the tokenizer that belongs to the model, or enlarge the embedding (resize_token_embeddings of transformers)", e.Dir, e.Tokens, e.Rows, e.Example, e.Tokens-1)
}

// Check checks the weights in dir and the tokenizer in the folder tokens, which is
// the same one unless an adapter brings its own. All faults come at once, joined.
// Errors are [*VocabularyError] and those of [llm.Open] and [token.Open].
func Check(dir, tokens string) (Report, error) {
	seen, err := llm.Inspect(dir)
	out := Report{Inspection: seen}
	tok, tokErr := token.Open(tokens)
	err = errors.Join(err, tokErr)
	if rows := seen.Config.VocabSize; tokErr == nil && rows > 0 {
		out.Tokenizer = tok
		err = errors.Join(err, vocabulary(dir, tok, rows))
	}
	if err != nil {
		return out, err
	}
	if len(tok.EOS()) == 0 {
		out.Notes = append(out.Notes, "the model has no token that ends an answer: neither its files nor its chat template name one, so each answer has max_new_tokens tokens")
	}
	if llm.HasBoth(dir) {
		out.Notes = append(out.Notes, fmt.Sprintf("the folder has %s and %s: the former is read, as transformers does", llm.WholeFile, llm.IndexFile))
	}
	if seen.Untied {
		out.Notes = append(out.Notes, "config.json says tie_word_embeddings, and lm_head.weight differs from the embedding: the head of the file is used, as transformers 5 does")
	}
	if seen.Sees {
		out.Notes = append(out.Notes, fmt.Sprintf("config.json describes a model that sees: the built-in engine takes its text part, and leaves its vision part out (tensors: %d)", seen.Vision))
	}
	if seen.Quantised > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d weights are stored in nf4 (bitsandbytes): the built-in engine reads them as bitsandbytes does, and keeps them as float32 in memory", seen.Quantised))
	}
	if seen.Claimed && seen.Quantised == 0 {
		out.Notes = append(out.Notes, "config.json has a quantization_config of bitsandbytes, and no weight is stored in nf4: the built-in engine reads the weights as they are stored; "+
			"transformers takes the quantization_config at its word, so take it out of config.json")
	}
	if len(seen.Ignored) > 0 {
		slices.Sort(seen.Ignored)
		out.Notes = append(out.Notes, "tensors that follow from config.json are left out: "+strings.Join(seen.Ignored, ", "))
	}
	out.Notes = append(out.Notes, UnknownMarkers(tok)...)
	return out, nil
}

// vocabulary returns the error of tokens for which the embedding has no row.
func vocabulary(dir string, tok *token.Tokenizer, rows int) error {
	var faults []error
	if n := tok.VocabSize(); n > rows {
		faults = append(faults, &VocabularyError{Dir: dir, Tokens: n, Rows: rows, Example: tok.Decode([]int32{int32(n - 1)}, false)})
	}
	for _, id := range tok.EOS() {
		if int(id) >= rows {
			faults = append(faults, fmt.Errorf("checkpoint %s: eos_token_id is %d, and the embedding has %d rows", dir, id, rows))
		}
	}
	return errors.Join(faults...)
}
