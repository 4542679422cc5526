package llm

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOneOrder: every epoch reads the rows in the order of the first one. A training that
// an earlier version began goes on to shuffle them for each epoch, bit by bit.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	examples := usable{all: lessons(m), at: make([]int32, 13)}
	cfg := TrainConfig{BatchSize: 4, Seed: 3}
	one := rowOrder{examples: examples, cfg: cfg}
	first := slices.Concat(one.epoch(0)...)
	if next := slices.Concat(one.epoch(1)...); !slices.Equal(first, next) || slices.IsSorted(first) {
		t.Errorf("the first epoch reads %v, the second one %v", first, next)
	}
	earlier := rowOrder{examples: examples, cfg: cfg, reshuffled: true}
	if same, next := slices.Concat(earlier.epoch(0)...), slices.Concat(earlier.epoch(1)...); !slices.Equal(first, same) || slices.Equal(first, next) {
		t.Errorf("an earlier version reads %v and %v", same, next)
	}
}

// TestOrderOfAnEarlierVersion: a checkpoint that an earlier version wrote is gone on from
// in the order that its training began with, and so are those behind it.
func TestOrderOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	cfg := TrainConfig{BatchSize: 1, Epochs: 4, LearningRate: 1e-2, MaxGradNorm: 1, Seed: 3, SaveSteps: 1}
	dir := t.TempDir()
	train := func(resume string) (losses []float64) {
		m := small(t, nil)
		_, err := m.Train(t.Context(), lessons(m), nil, cfg, Hooks{
			OnStep: func(i StepInfo) { losses = append(losses, i.Loss) },
			OnCheckpoint: func(_ context.Context, step int64, save func(string) error) error {
				return save(filepath.Join(dir, filepath.Base(resume)+"-"+string(rune('a'+step))))
			},
		}, resume)
		if err != nil {
			t.Fatal(err)
		}
		return losses
	}
	whole := train("")
	begin := filepath.Join(dir, ".-b")
	body, err := os.ReadFile(filepath.Join(begin, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	earlier := strings.Replace(string(body), `,"same_order":true`, "", 1)
	if err := os.WriteFile(filepath.Join(begin, stateFile), []byte(earlier), 0o600); err != nil || earlier == string(body) {
		t.Fatal(err, string(body))
	}
	rest := train(begin)
	if slices.Equal(rest, whole[1:]) {
		t.Error("it goes on in the order of this version")
	}
	later := filepath.Join(dir, ".-b-"+string(rune('a'+int64(len(whole))-1)))
	if last := train(later); !slices.Equal(last, rest[len(rest)-len(last):]) || len(last) != 1 {
		t.Errorf("resumed again: %v, want the end of %v", last, rest)
	}
}
