package llm

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trainerOf is a trainer of a hundred steps.
func trainerOf(t *testing.T, m *Model, cfg TrainConfig) *trainer {
	t.Helper()
	tr, err := newTrainer(m, cfg.withDefaults(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// small is a model with an adapter, or none.
func small(t *testing.T, lora *LoRAConfig) *Model {
	return scattered(t, shapes()["qwen2, grouped heads, tied"], lora)
}

// lessons are more rows than fit into a batch, of different lengths.
func lessons(m *Model) InMemory { return append(ragged(m.cfg), ragged(m.cfg)...) }

// steps trains m and returns what each step reported.
func steps(t *testing.T, m *Model, cfg TrainConfig) []StepInfo {
	t.Helper()
	var out []StepInfo
	if _, err := m.Train(t.Context(), lessons(m), nil, cfg, Hooks{OnStep: func(i StepInfo) { out = append(out, i) }}, ""); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAccumulationEqualsTheBigBatch(t *testing.T) {
	t.Parallel()
	big, parts := small(t, nil), small(t, nil)
	a := steps(t, big, TrainConfig{BatchSize: 6, Epochs: 3, LearningRate: 1e-3, WeightDecay: 0.1, MaxGradNorm: 1, Seed: 1})
	b := steps(t, parts, TrainConfig{BatchSize: 2, GradAccumulation: 3, Epochs: 3, LearningRate: 1e-3, WeightDecay: 0.1, MaxGradNorm: 1, Seed: 1})
	if len(a) != 3 || len(b) != 3 {
		t.Fatalf("%d and %d steps", len(a), len(b))
	}
	for i := range a {
		if math.Abs(a[i].Loss-b[i].Loss) > 1e-5 || math.Abs(a[i].GradNorm-b[i].GradNorm) > 1e-4*a[i].GradNorm {
			t.Errorf("step %d: loss %.6f and norm %.6f, accumulated %.6f and %.6f", i+1, a[i].Loss, a[i].GradNorm, b[i].Loss, b[i].GradNorm)
		}
	}
}

// TestTrainTwiceIsTheSame also holds the dropout to the seed.
func TestTrainTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{BatchSize: 2, Epochs: 2, LearningRate: 1e-3, Seed: 3}
	losses := func(seed int64) (out []float64) {
		cfg.Seed = seed
		for _, i := range steps(t, small(t, dropping()), cfg) {
			out = append(out, i.Loss)
		}
		return out
	}
	first := losses(3)
	if again := losses(3); !slices.Equal(first, again) {
		t.Errorf("losses %v, then %v", first, again)
	}
	if other := losses(4); slices.Equal(first, other) {
		t.Error("another seed gives the same losses")
	}
}

func TestResumeKeepsTheDropout(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{BatchSize: 2, Epochs: 4, LearningRate: 1e-2, MaxGradNorm: 1, Seed: 3, SaveSteps: 5}
	dir := t.TempDir()
	train := func(resume string) (losses []float64, weights []float32) {
		m := small(t, dropping())
		_, err := m.Train(t.Context(), lessons(m), nil, cfg, Hooks{
			OnStep: func(i StepInfo) { losses = append(losses, i.Loss) },
			OnCheckpoint: func(_ context.Context, step int64, save func(string) error) error {
				if step != 5 || resume != "" {
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
		return losses, weights
	}
	losses, weights := train("")
	rest, resumed := train(dir)
	if !slices.Equal(losses[5:], rest) || !slices.Equal(weights, resumed) {
		t.Errorf("resumed losses %v, want %v; weights are the same: %v", rest, losses[5:], slices.Equal(weights, resumed))
	}
}

// TestStopInEvaluation: a training that is stopped while it evaluates an epoch
// offers a checkpoint of its last step, and evaluates that epoch when resumed.
func TestStopInEvaluation(t *testing.T) {
	t.Parallel()
	errStop := errors.New("stop")
	type evaluation struct {
		step int64
		loss float64
	}
	train := func(stopAt func(total int64) int64, resume string) (evals []evaluation, weights []float32, saved string) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		m := small(t, dropping())
		cfg := TrainConfig{BatchSize: 2, Epochs: 3, LearningRate: 1e-2, MaxGradNorm: 1, Seed: 3, SaveSteps: 1000}
		_, err := m.Train(ctx, lessons(m), lessons(m), cfg, Hooks{
			OnStep: func(i StepInfo) {
				if i.Step == stopAt(i.Total) {
					cancel(errStop) // before the evaluation looks at its context
				}
			},
			OnEval: func(step int64, loss float64) { evals = append(evals, evaluation{step, loss}) },
			OnCheckpoint: func(_ context.Context, _ int64, save func(string) error) error {
				saved = filepath.Join(t.TempDir(), "checkpoint")
				return save(saved)
			},
		}, resume)
		if err != nil && !errors.Is(err, errStop) {
			t.Fatal(err)
		}
		for _, p := range m.lora.params {
			weights = append(weights, p.data...)
		}
		return evals, weights, saved
	}
	never := func(int64) int64 { return -1 }
	evals, weights, _ := train(never, "")
	for name, stopAt := range map[string]func(int64) int64{
		"of the first epoch": func(total int64) int64 { return total / 3 },
		"of the last epoch":  func(total int64) int64 { return total },
	} {
		before, _, saved := train(stopAt, "")
		if saved == "" {
			t.Fatalf("%s: no checkpoint was offered", name)
		}
		rest, resumed, _ := train(never, saved)
		if got := append(before, rest...); !slices.Equal(got, evals) {
			t.Errorf("%s: evaluations %v, undisturbed %v", name, got, evals)
		}
		if !slices.Equal(resumed, weights) {
			t.Errorf("%s: the weights differ from those of an undisturbed training", name)
		}
	}
}

func TestDecaySparesNormsAndBiases(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	tr := trainerOf(t, m, TrainConfig{WeightDecay: 0.5})
	before := map[string]float32{}
	for _, p := range m.params {
		before[p.name] = p.data[0]
	}
	if _, err := tr.update(0.1, 1); err != nil { // all gradients are zero
		t.Fatal(err)
	}
	for name, share := range map[string]float32{
		"model.norm.weight": 1, "model.layers.0.input_layernorm.weight": 1, "model.layers.0.self_attn.q_proj.bias": 1,
		"model.layers.0.self_attn.q_proj.weight": 0.95, "model.embed_tokens.weight": 0.95,
	} {
		if got, want := m.byName[name].data[0], share*before[name]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestEvaluateIsTheMeanOverTokens, in batches that do not divide the rows.
func TestEvaluateIsTheMeanOverTokens(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	tr := trainerOf(t, m, TrainConfig{EvalBatchSize: 2})
	got, err := tr.evaluate(t.Context(), newUsable(InMemory(ragged(m.cfg))))
	sum, n := newReference(m).loss(ragged(m.cfg))
	if err != nil || math.Abs(got-sum/float64(n)) > 1e-5*got {
		t.Errorf("validation loss %.7f, the reference has %.7f: %v", got, sum/float64(n), err)
	}
}

// TestRowsThatTeachNothing are left out, of the validation too.
func TestRowsThatTeachNothing(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	nothing := InMemory{{}, {IDs: []int32{1, 2}, Count: []bool{true, false}}}
	res, err := m.Train(t.Context(), append(nothing, lessons(m)...), nothing, TrainConfig{BatchSize: 64, LearningRate: 1e-3}, Hooks{}, "")
	if err != nil || res.Steps != 1 || res.FinalEvalLoss != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := m.Train(t.Context(), nothing, nil, TrainConfig{}, Hooks{}, ""); !errors.Is(err, ErrNothing) {
		t.Errorf("with nothing else: %v", err)
	}
}

// TestWhichStepsAreTold: every so many, the last one, and the first if asked.
func TestWhichStepsAreTold(t *testing.T) {
	t.Parallel()
	for first, want := range map[bool][]int64{true: {1, 3, 6, 7}, false: {3, 6, 7}} {
		m := small(t, nil)
		rows := lessons(m)
		for len(rows) < 7 {
			rows = append(rows, rows[0])
		}
		var told []int64
		hooks := Hooks{OnStep: func(i StepInfo) { told = append(told, i.Step) }}
		if _, err := m.Train(t.Context(), rows[:7], nil, TrainConfig{BatchSize: 1, LearningRate: 1e-3, LogSteps: 3, LogFirstStep: first}, hooks, ""); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("first step asked for: %t: told %v, want %v", first, told, want)
		}
	}
}

// TestForeignCheckpoint: what is of another training is refused before
// anything is changed, so that the training can start over.
func TestForeignCheckpoint(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{BatchSize: 2, Epochs: 4, LearningRate: 1e-2, Seed: 3, SaveSteps: 5}
	save := func(lora *LoRAConfig, cfg TrainConfig) string {
		m, dir := small(t, lora), t.TempDir()
		if _, err := m.Train(t.Context(), lessons(m), nil, cfg, Hooks{OnCheckpoint: func(_ context.Context, step int64, save func(string) error) error {
			if step != 5 {
				return nil
			}
			return save(dir)
		}}, ""); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	longer, wider, fewer := cfg, *dropping(), *dropping()
	longer.Epochs++
	wider.Rank++
	fewer.TargetModules = []string{"q_proj"}
	cut := save(dropping(), cfg)
	if err := os.WriteFile(filepath.Join(cut, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	final := func(m *Model, resume string) ([]float32, error) {
		_, err := m.Train(t.Context(), lessons(m), nil, cfg, Hooks{}, resume)
		var weights []float32
		for _, p := range m.lora.params {
			weights = append(weights, p.data...)
		}
		return weights, err
	}
	want, err := final(small(t, dropping()), "")
	if err != nil {
		t.Fatal(err)
	}
	for says, dir := range map[string]string{
		"this training has": save(dropping(), longer), "its shape is": save(&wider, cfg), "is missing": save(&fewer, cfg),
		"unexpected end": cut, "no such file": t.TempDir(),
	} {
		m := small(t, dropping())
		var bad *CheckpointError
		if _, err := final(m, dir); !errors.Is(err, ErrForeign) || !errors.As(err, &bad) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
		if got, err := final(m, ""); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: started over, it does not come to the same: %v", says, err)
		}
	}
}
