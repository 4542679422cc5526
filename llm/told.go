package llm

// told are the steps since the ones that a person was told of last, so that a point of
// a metric is the mean of all of its steps, as in the Hugging Face trainer.
type told struct {
	Losses float64 `json:"losses"` // their sum
	Steps  int64   `json:"steps"`

	tokens, seconds float64
}

// add adds a step of so many tokens.
func (t *told) add(i StepInfo, tokens int64) {
	t.Losses += i.Loss
	t.Steps++
	t.tokens += float64(tokens)
	t.seconds += float64(tokens) / i.TokensPerSecond
}

// take is the last of the steps with the means of all, and begins anew.
func (t *told) take(i StepInfo) StepInfo {
	i.Loss, i.TokensPerSecond = t.Losses/float64(t.Steps), t.tokens/t.seconds
	*t = told{}
	return i
}
