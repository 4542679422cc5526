package llm

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// TestWeightsThatAreNoNumbers are refused when a checkpoint is opened, with the tensor.
func TestWeightsThatAreNoNumbers(t *testing.T) {
	t.Parallel()
	for _, dtype := range []string{"float32", "float16", "bfloat16"} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			m, dir := small(t, nil), t.TempDir()
			if err := m.Save(dir, dtype); err != nil {
				t.Fatal(err)
			}
			m.byName["model.norm.weight"].data[3] = float32(bad)
			if err := m.Save(t.TempDir(), dtype); err == nil || !strings.Contains(err.Error(), "tensor model.norm.weight: value 4 of") {
				t.Errorf("%v in %s is saved: %v", bad, dtype, err)
			}
			writeAny(t, m, filepath.Join(dir, "model.safetensors"), dtype)
			_, err := Open(dir)
			if fault, ok := errors.AsType[*CheckpointError](err); !ok || fault.Tensor != "model.norm.weight" || !strings.Contains(err.Error(), "value 4 of") {
				t.Errorf("%v in %s: %v", bad, dtype, err)
			}
		}
	}
}

// writeAny writes the weights of a model, whatever they are.
func writeAny(t *testing.T, m *Model, path, dtype string) {
	t.Helper()
	kind, _ := safetensors.DType(dtype)
	var tensors []safetensors.Tensor
	for _, p := range m.params {
		tensors = append(tensors, safetensors.Tensor{Name: p.name, DType: kind, Shape: p.shape})
	}
	w, err := safetensors.Create(path, tensors)
	if err != nil {
		t.Fatal(err)
	}
	w.TakeAny()
	for _, p := range m.params {
		err = errors.Join(err, w.Write(p.data))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestLargeWeights: finite weights whose products are no numbers answer nothing, and
// learn nothing.
func TestLargeWeights(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	for _, p := range m.params {
		if strings.HasSuffix(p.name, "_proj.weight") {
			for i := range p.data {
				p.data[i] *= 1e30
			}
		}
	}
	for _, temperature := range []float64{0, 1} {
		err := m.Generate(t.Context(), [][]int32{{1, 2}}, GenerateConfig{MaxNewTokens: 2, Temperature: temperature}, func(int, []int32) error { return nil })
		if !errors.Is(err, ErrNoNumbers) {
			t.Errorf("temperature %v: %v", temperature, err)
		}
	}
	if _, err := m.Train(t.Context(), lessons(m), nil, TrainConfig{BatchSize: 2}, Hooks{}, ""); !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "first step") {
		t.Errorf("%v", err)
	}
}

// TestTrainingThatGoesAstray ends with an error also where it does so in its last step,
// or on the validation data alone.
func TestTrainingThatGoesAstray(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	all := len(lessons(m))
	_, err := m.Train(t.Context(), lessons(m), lessons(m), TrainConfig{BatchSize: all, Epochs: 1, LearningRate: 1e30}, Hooks{}, "")
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "validation data") {
		t.Errorf("validation: %v", err)
	}
	for _, rate := range []float64{1e38, 1e308} {
		_, err = small(t, nil).Train(t.Context(), lessons(m), nil, TrainConfig{BatchSize: all, Epochs: 1, LearningRate: rate}, Hooks{}, "")
		if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "behind step 1, which made weights") {
			t.Errorf("weights behind the last step at %g: %v", rate, err)
		}
	}
	// A gradient that overflows although the loss is a number: the norm's weights are
	// tiny, so that their gradients are not.
	m = small(t, nil)
	for i := range m.byName["model.embed_tokens.weight"].data {
		m.byName["model.embed_tokens.weight"].data[i] *= 1e-30
	}
	m.cfg.RMSNormEps = 1e-45
	if _, err := m.Train(t.Context(), lessons(m), nil, TrainConfig{BatchSize: all, Epochs: 1, LearningRate: 1e-3}, Hooks{}, ""); !errors.Is(err, ErrDiverged) {
		t.Errorf("gradients: %v", err)
	}
}
