package llm

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestResumeOfEveryWay: a training that goes on from a checkpoint ends as one that was
// never stopped, whatever its optimizer, its schedule and its adapter remember.
func TestResumeOfEveryWay(t *testing.T) {
	t.Parallel()
	adapter := func(name string) func(t *testing.T, m *Model) {
		return func(t *testing.T, m *Model) {
			if err := m.LoadAdapter(tuningFolder + "/" + name); err != nil {
				t.Fatal(err)
			}
			if err := m.SetDropout(0.2); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := func(*testing.T, *Model) {}
	for name, c := range map[string]struct {
		change func(*TrainConfig)
		put    func(*testing.T, *Model)
	}{
		"8 bits":    {func(c *TrainConfig) { c.Optimizer = "adamw_8bit" }, nothing},
		"sgd":       {func(c *TrainConfig) { c.Optimizer, c.Momentum = "sgd", 0.9 }, nothing},
		"adafactor": {func(c *TrainConfig) { c.Optimizer = "adafactor" }, nothing},
		"plateau": {func(c *TrainConfig) {
			c.Scheduler, c.SchedulerArguments = "reduce_lr_on_plateau", map[string]any{"patience": int64(0), "threshold": 0.5}
		}, nothing},
		"packed":          {func(c *TrainConfig) { c.PackTokens, c.BatchSize = 40, 1 }, adapter("patterns")},
		"DoRA and biases": {func(c *TrainConfig) { c.Optimizer = "adafactor" }, adapter("dora_some")},
		"whole modules":   {func(c *TrainConfig) { c.Optimizer = "adamw_8bit" }, adapter("saved")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := TrainConfig{BatchSize: 3, Epochs: 4, LearningRate: 1e-2, MaxGradNorm: 1, Seed: 3, SaveSteps: 5, EvalSteps: 2, LogSteps: 3, WeightDecay: 0.1}
			c.change(&cfg)
			dir := t.TempDir()
			train := func(resume string) (told []StepInfo, weights []float32) {
				m := tuningBase(t)
				c.put(t, m)
				_, err := m.Train(t.Context(), lessons(m), lessons(m)[:2], cfg, Hooks{
					OnStep: func(i StepInfo) {
						i.TokensPerSecond = 0
						told = append(told, i)
					},
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
				for _, p := range m.trainable() {
					weights = append(weights, p.data...)
				}
				return told, weights
			}
			told, weights := train("")
			rest, resumed := train(dir)
			if !slices.Equal(told[1:], rest) || !slices.Equal(weights, resumed) {
				t.Errorf("resumed it tells %v, want %v; weights are the same: %v", rest, told[1:], slices.Equal(weights, resumed))
			}
		})
	}
}

// TestToldLossIsTheMean of the steps since the one that was told before.
func TestToldLossIsTheMean(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{BatchSize: 1, Epochs: 2, LearningRate: 1e-2, Seed: 3, LogFirstStep: true}
	each := steps(t, small(t, nil), cfg)
	cfg.LogSteps = 4
	from := 0
	for _, told := range steps(t, small(t, nil), cfg) {
		sum := 0.0
		for _, i := range each[from:told.Step] {
			sum += i.Loss
		}
		if want := sum / float64(int(told.Step)-from); told.Loss != want || told.GradNorm != each[told.Step-1].GradNorm {
			t.Errorf("step %d: %v, the mean since step %d is %v", told.Step, told.Loss, from, want)
		}
		from = int(told.Step)
	}
	if from != len(each) {
		t.Errorf("%d of %d steps were told", from, len(each))
	}
}

// TestPackedIsNotMixed: a training on packed rows sees the same losses as one on these
// rows, since no row sees another one.
func TestPackedIsNotMixed(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	rows := lessons(m)
	packed, err := m.Train(t.Context(), rows, nil, TrainConfig{BatchSize: 64, LearningRate: 1e-3, PackTokens: 24}, Hooks{}, "")
	if err != nil {
		t.Fatal(err)
	}
	m = small(t, nil)
	apart, err := m.Train(t.Context(), rows, nil, TrainConfig{BatchSize: 64, LearningRate: 1e-3}, Hooks{}, "")
	if err != nil || packed.FinalLoss-apart.FinalLoss > 1e-6 || apart.FinalLoss-packed.FinalLoss > 1e-6 || packed.Tokens != apart.Tokens {
		t.Errorf("loss %v of %d tokens, apart %v of %d (%v)", packed.FinalLoss, packed.Tokens, apart.FinalLoss, apart.Tokens, err)
	}
	if packed.Rows != len(rows) || packed.Sequences >= len(rows) || apart.Sequences != len(rows) {
		t.Errorf("%d rows in %d sequences, apart in %d", packed.Rows, packed.Sequences, apart.Sequences)
	}
}

// TestStoredType is that of most weights.
func TestStoredType(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"float32", "float16", "bfloat16"} {
		dir := t.TempDir()
		if err := small(t, nil).Save(dir, want); err != nil {
			t.Fatal(err)
		}
		if got, err := StoredType(dir); err != nil || got != want {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
	}
	if _, err := StoredType(t.TempDir()); err == nil {
		t.Error("an empty folder has a type")
	}
}

// TestAttachRefuses what would have no effect, or is not there.
func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]LoRAConfig{
		`rank_pattern: "c_attn" fits no module`:                          {Rank: 2, RankPattern: map[string]float64{"c_attn": 3}},
		`alpha_pattern: "v_proj" fits no module`:                         {Rank: 2, TargetModules: []string{"q_proj"}, AlphaPattern: map[string]float64{"v_proj": 3}},
		"modules_to_save: no module":                                     {Rank: 2, ModulesToSave: []string{"classifier"}},
		`no module of the model ends in "nosuch"`:                        {Rank: 2, ModulesToSave: []string{"lm_head", "nosuch"}},
		`ends in "lmhead", "x"; there are embed_tokens, input_layernorm`: {Rank: 2, ModulesToSave: []string{"lmhead", "embed_tokens", "x"}},
		"missing closing":                                                {Rank: 2, RankPattern: map[string]float64{"(q": 3}},
	} {
		m := small(t, nil)
		if err := m.AttachLoRA(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	m := small(t, nil) // DoRA changes nothing at first
	want := lastLogits(t, m, []int32{1, 2, 3})
	if err := m.AttachLoRA(LoRAConfig{Rank: 2, Alpha: 4, DoRA: true, Bias: "all", ModulesToSave: []string{"lm_head"}}); err != nil {
		t.Fatal(err)
	}
	compareLast(t, m, []int32{1, 2, 3}, want)
}
