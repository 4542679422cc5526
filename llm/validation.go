package llm

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// validations are what a training remembers of its validations.
type validations struct {
	last float64 // loss
	// best is the lowest loss, of the step bestStep; 0: there was none yet.
	best     float64
	bestStep int64
	// worse counts the validations since.
	worse int
	// due says that the model has to be validated before the next step.
	due bool
	// weights are those of the best step, where they are kept.
	weights [][]float32
}

// stopped reports whether the training ends since it no longer gets better.
func (v *validations) stopped(c TrainConfig) bool { return c.Patience > 0 && v.worse >= c.Patience }

// validateAt reports whether a step is followed by a validation.
func (t *trainer) validateAt(step int64, endOfEpoch bool) bool {
	if step == t.total {
		return true
	}
	if t.cfg.EvalSteps > 0 {
		return step%int64(t.cfg.EvalSteps) == 0
	}
	return endOfEpoch
}

// evaluateIfDue validates the model where that is due. A training that is stopped
// meanwhile validates after it was resumed.
func (t *trainer) evaluateIfDue(ctx context.Context, validation usable, hooks Hooks) error {
	v := &t.validated
	if !v.due {
		return nil
	}
	if validation.len() > 0 {
		loss, err := t.evaluate(ctx, validation)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("%w any more on the validation data; lower the learning rate", ErrDiverged)
		}
		v.last = loss
		t.schedule.Validated(loss)
		if v.bestStep == 0 || loss < v.best {
			v.best, v.bestStep, v.worse = loss, t.step, 0
			t.keepBest()
		} else {
			v.worse++
		}
		if hooks.OnEval != nil {
			hooks.OnEval(t.step, loss)
		}
	}
	v.due = false
	return nil
}

// keepBest copies the weights that learn, where the best ones are wanted.
func (t *trainer) keepBest() {
	if !t.cfg.KeepBest {
		return
	}
	t.makeBest()
	for i, p := range t.learn {
		copy(t.validated.weights[i], p.data)
	}
}

// makeBest makes room for the best weights.
func (t *trainer) makeBest() {
	if t.validated.weights == nil {
		for _, p := range t.learn {
			t.validated.weights = append(t.validated.weights, slices.Clone(p.data))
		}
	}
}

// takeBest gives the model its best weights, where they are wanted and are not the
// last ones.
func (t *trainer) takeBest() {
	v := &t.validated
	if !t.cfg.KeepBest || v.bestStep == 0 {
		return
	}
	for i, p := range t.learn {
		copy(p.data, v.weights[i])
	}
	v.last = v.best
	t.model.changed()
}
