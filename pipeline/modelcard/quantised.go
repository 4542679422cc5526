package modelcard

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// bitsOf is to how many bits a phase brings the weights of the base model; 0: they are used as
// they are stored. Of both keys, the fewer bits count.
func bitsOf(four, eight bool) int {
	switch {
	case four:
		return 4
	case eight:
		return 8
	}
	return 0
}

// scoredBits is to how many bits the base model was brought for the answers that were scored.
// known is false where there are no scores, or where it is not known who answered how.
func scoredBits(c Card) (bits int, known bool) {
	done := c.completed(events.Evaluation)
	if done == nil || len(done.Scores) == 0 || c.completed(events.Inference) == nil {
		return 0, false
	}
	i := c.Run.Accepted.Specification.Inferencer
	return bitsOf(i.LoadIn4bit, i.LoadIn8bit), i.Engine != spec.OpenAI
}

// quantised says where the base model was in fewer bits than it is stored, and in how many;
// 0: nowhere.
func quantised(c Card) (said string, bits int) {
	if c.Run.Accepted == nil {
		return "", 0
	}
	f, used := c.tuner(), c.Run.Used()
	if used["fine_tuner.load_in_4bit"] == "true" || used["fine_tuner.load_in_8bit"] == "false" { // it is stored in 4 bits
		return "", 0
	}
	trained := bitsOf(f.LoadIn4bit, f.LoadIn8bit)
	scored, known := scoredBits(c)
	said = fmt.Sprintf("The adapter was trained on the base model in %d bits", trained)
	switch {
	case trained == 0 && (scored == 0 || !known):
		return "", 0
	case trained == 0:
		return fmt.Sprintf("The scores above are those of the base model in %d bits with this adapter", scored), scored
	case known && scored == trained:
		said += ", and the scores above are those of that base model with this adapter"
	case known && scored == 0:
		said += "; the scores above are those of the base model as it is stored, with this adapter"
	case known:
		said += fmt.Sprintf("; the scores above are those of the base model in %d bits with this adapter", scored)
	}
	return said, trained
}

// useQuantised writes the lines that load the base model of an adapter as it was in the run.
func useQuantised(b *strings.Builder, c Card) {
	said, bits := quantised(c)
	if bits == 0 {
		return
	}
	config := "load_in_8bit=True"
	if bits == 4 {
		config = `load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True`
	}
	fmt.Fprintf(b, "%s. The lines above load the base model as it is stored; this loads it in %d bits, with the package bitsandbytes:\n\n"+
		"```python\nfrom transformers import BitsAndBytesConfig\n\nquantised = BitsAndBytesConfig(%s)\n"+
		"model = AutoModelForCausalLM.from_pretrained(\".\", quantization_config=quantised)\n```\n\n", said, bits, config)
}

// mergedQuantised says of merged weights that those of the run were others.
func mergedQuantised(b *strings.Builder, c Card) {
	if said, bits := quantised(c); bits > 0 && c.Kind == Merged {
		fmt.Fprintf(b, "%s. The weights here are those of the base model as it is stored, with the adapter merged into them.\n\n", said)
	}
}
