// Package activity says whether an adapter changes what a model answers, by traces of the model
// with it and without it.
package activity

import (
	"fmt"
	"math"
)

const (
	// noiseFactor is how much further from the base model the adapter has to be than the
	// base model from itself: some servers compute a prompt otherwise from call to call.
	noiseFactor = 4
)

// Trace is what a model says to a prompt if it always takes the likeliest token.
type Trace struct {
	Text   string
	Tokens []string
	Probs  []float64 // logarithms, one for each token; nil: the server does not say them
}

// Sample is what the models say to one prompt: the base model, the tuned one, and the base model
// once more.
type Sample struct{ Base, Tuned, Again Trace }

// Verdict is what the traces of two models show.
type Verdict int

// The verdicts.
const (
	Active    Verdict = iota // the models differ
	Inactive                 // every log probability is equal to the last digit
	NotProved                // texts are equal, or the differences are those of the server itself
)

// Compare says whether the traces of two models differ, and how that was seen.
func Compare(samples []Sample) (Verdict, string) {
	if len(samples) == 0 {
		return NotProved, "none of the first rows could be asked both with it and without it"
	}
	probs, equal, far := true, true, 0.0
	for _, s := range samples {
		probs = probs && len(s.Base.Probs) > 0 && len(s.Tuned.Probs) > 0
		equal = equal && s.Base.Text == s.Tuned.Text
		far = max(far, distance(s.Base, s.Tuned))
	}
	switch {
	case probs && far == 0:
		return Inactive, ""
	case probs:
		return Active, ""
	case equal:
		return NotProved, fmt.Sprintf("the server says no log probabilities, and its first tokens to %d prompts are those of the base model", len(samples))
	}
	return Active, ""
}

// AgainstNoise compares the distance of two models with that of the base model from
// itself.
func AgainstNoise(samples []Sample) (Verdict, string) {
	if len(samples) == 0 {
		return NotProved, "the server did not answer the same rows again"
	}
	probs, same, far, noise := true, true, 0.0, 0.0
	for _, s := range samples {
		probs = probs && len(s.Base.Probs) > 0 && len(s.Tuned.Probs) > 0 && len(s.Again.Probs) > 0
		same = same && s.Base.Text == s.Again.Text
		far, noise = max(far, distance(s.Base, s.Tuned)), max(noise, distance(s.Base, s.Again))
	}
	switch {
	case !probs && !same:
		return NotProved, "the server says no log probabilities, and the base model itself answers otherwise from call to call"
	case !probs:
		return Active, "its answers are others than those of the base model"
	case noise > 0 && far <= noiseFactor*noise:
		return NotProved, fmt.Sprintf("its log probabilities differ from those of the base model by %.2g, and those of the base model from call to call by %.2g", far, noise)
	}
	return Active, fmt.Sprintf("its log probabilities differ from those of the base model by up to %.2g", far)
}

// distance is the largest difference of log probabilities while the tokens are the
// same. Where they part, it is infinite.
func distance(a, b Trace) float64 {
	if len(a.Probs) != len(b.Probs) {
		return math.Inf(1)
	}
	far := 0.0
	for i := range a.Probs {
		far = max(far, math.Abs(a.Probs[i]-b.Probs[i]))
		if a.Tokens[i] != b.Tokens[i] {
			return math.Inf(1)
		}
	}
	return far
}
