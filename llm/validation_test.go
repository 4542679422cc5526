package llm

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"
)

// watched trains a model, with checkpoints every other step of which it keeps one, and
// returns what was told.
func watched(t *testing.T, cfg TrainConfig, keep int64, dir, resume string) (res TrainResult, losses map[int64]float64, weights []float32) {
	t.Helper()
	m := small(t, dropping())
	losses = map[int64]float64{}
	rows := lessons(m)
	cfg.BatchSize, cfg.MaxGradNorm, cfg.Seed, cfg.SaveSteps = 2, 1, 3, 2
	res, err := m.Train(t.Context(), rows, rows[:3], cfg, Hooks{
		OnEval: func(step int64, loss float64) { losses[step] = loss },
		OnCheckpoint: func(_ context.Context, step int64, save func(string) error) error {
			if step != keep {
				return nil
			}
			return save(dir)
		},
	}, resume)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.lora.params {
		weights = append(weights, p.data...)
	}
	return res, losses, weights
}

func TestMaxStepsAndEvalSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg    TrainConfig
		steps  int64
		epochs float64
		at     []int64
	}{
		"fewer than an epoch":   {TrainConfig{MaxSteps: 2}, 2, 2. / 3, []int64{2}},
		"more than the epochs":  {TrainConfig{MaxSteps: 7, Epochs: 1}, 7, 7. / 3, []int64{3, 6, 7}},
		"every four":            {TrainConfig{Epochs: 4, EvalSteps: 4}, 12, 4, []int64{4, 8, 12}},
		"every four, and after": {TrainConfig{MaxSteps: 9, EvalSteps: 4}, 9, 3, []int64{4, 8, 9}},
	} {
		c.cfg.LearningRate = 1e-3
		res, losses, _ := watched(t, c.cfg, 0, "", "")
		if at := slices.Sorted(maps.Keys(losses)); res.Steps != c.steps || res.Epochs != c.epochs || !slices.Equal(at, c.at) {
			t.Errorf("%s: %d steps in %g epochs, validated at %v; want %d in %g, at %v", name, res.Steps, res.Epochs, at, c.steps, c.epochs, c.at)
		}
	}
}

// TestEarlyStopping: a training that goes astray ends, with the best weights that it
// had, and does the same if it was interrupted anywhere.
func TestEarlyStopping(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{Epochs: 40, EvalSteps: 1, LearningRate: 0.06, Patience: 4, KeepBest: true, Scheduler: "constant"}
	want, losses, weights := watched(t, cfg, 0, "", "")
	if want.Steps >= want.Planned || want.Planned != 120 || want.BestStep < 5 || want.Steps != want.BestStep+4 {
		t.Fatalf("%+v", want)
	}
	for step, loss := range losses {
		if loss < losses[want.BestStep] || math.IsNaN(loss) {
			t.Errorf("step %d has the loss %v, the best step %d %v", step, loss, want.BestStep, losses[want.BestStep])
		}
	}
	if want.FinalEvalLoss != losses[want.BestStep] {
		t.Errorf("the loss of the result is %v, that of its step was %v", want.FinalEvalLoss, losses[want.BestStep])
	}
	cut := cfg
	cut.Epochs, cut.MaxSteps, cut.Patience = 0, int(want.BestStep), 0
	if _, _, best := watched(t, cut, 0, "", ""); !slices.Equal(best, weights) {
		t.Error("the weights are not those of the best step")
	}
	for keep := int64(2); keep < want.Steps; keep += 2 {
		dir := t.TempDir()
		watched(t, cfg, keep, dir, "")
		res, _, again := watched(t, cfg, 0, "", dir)
		if res != want || !slices.Equal(again, weights) {
			t.Errorf("resumed at step %d: %+v, without %+v; the weights are the same: %t", keep, res, want, slices.Equal(again, weights))
		}
	}
}
