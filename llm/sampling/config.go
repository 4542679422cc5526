// Package sampling chooses the next token from a model's logits, as transformers does:
// repetition penalty, temperature, top_k, top_p and min_p, in this order. It also
// computes log probabilities.
package sampling

import (
	"errors"
	"fmt"
	"math"
)

// Config says how tokens are chosen. The zero value takes the likeliest token always.
type Config struct {
	// Temperature divides the logits; 0: the likeliest token is taken, and TopK, TopP and
	// MinP change nothing.
	Temperature float64
	// TopK keeps so many likeliest tokens, and all that are as likely as the last of them;
	// 0: all.
	TopK int
	// TopP keeps the likeliest tokens that together have this share; 0 or 1: all.
	TopP float64
	// MinP keeps the tokens that have this share of the likeliest token's probability;
	// 0: all.
	MinP float64
	// RepetitionPenalty makes the tokens of the prompt and of the answer less likely where
	// it is above 1: positive logits are divided by it, negative ones multiplied; 0 or 1:
	// none. Others lie between [LeastPenalty] and [MostPenalty].
	RepetitionPenalty float64
	// Seed and Stream decide the draws: rows of one job have one seed, and each its own
	// stream, such as its index.
	Seed, Stream uint64
}

// The bounds of a repetition penalty: beyond them logits would be no numbers.
const (
	LeastPenalty = 0.01
	MostPenalty  = 100.0
)

// Check names all faults of a config.
func (c Config) Check() error {
	var faults []error
	bounded := func(name string, v, low, high float64, means string) {
		if !(v >= low && v <= high) || math.IsInf(v, 0) {
			faults = append(faults, fmt.Errorf("%s is %v, and must be %s", name, v, means))
		}
	}
	bounded("temperature", c.Temperature, 0, math.MaxFloat64, "0 or more")
	bounded("top_k", float64(c.TopK), 0, math.MaxInt32, "0 or more")
	bounded("top_p", c.TopP, 0, 1, "from 0 to 1")
	bounded("min_p", c.MinP, 0, 1, "from 0 to 1")
	if c.penalises() {
		bounded("repetition_penalty", c.RepetitionPenalty, LeastPenalty, MostPenalty, fmt.Sprintf("from %v to %v", LeastPenalty, MostPenalty))
	}
	return errors.Join(faults...)
}

// penalises reports whether the repetition penalty changes anything.
func (c Config) penalises() bool { return c.RepetitionPenalty != 0 && c.RepetitionPenalty != 1 }
