package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/internal/schedule"
	"github.com/tunebus/tunebus/llm/internal/snapshot"
)

// state is what a checkpoint says besides its tensors.
type state struct {
	Step     int64   `json:"step"`
	Total    int64   `json:"total"`
	Loss     float64 `json:"loss"`
	EvalLoss float64 `json:"eval_loss"`
	// EvalDue says that the step is followed by a validation that was not made yet.
	EvalDue bool `json:"eval_due,omitempty"`
	// BestLoss is the lowest loss of a validation, that of BestStep, and Worse counts
	// the validations since.
	BestLoss float64 `json:"best_eval_loss,omitempty"`
	BestStep int64   `json:"best_step,omitempty"`
	Worse    int     `json:"worse,omitempty"`
	// SameOrder says that each epoch reads the rows in the same order; earlier versions
	// shuffled them for each.
	SameOrder bool `json:"same_order,omitempty"`
	// Untold are the steps since the ones that were told last.
	Untold told `json:"untold,omitzero"`
	// Schedule is what the learning rate depends on beside the step.
	Schedule schedule.State `json:"schedule,omitzero"`
}

const (
	stateFile   = "trainer_state.json"
	weightsFile = "trainer.safetensors"
)

// save writes a checkpoint: the weights that learn, the best ones, and the state of
// the optimizer.
func (t *trainer) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := snapshot.Write(filepath.Join(dir, weightsFile), t.saved()); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	v := t.validated
	body, err := json.Marshal(state{
		Step: t.step, Total: t.total, Loss: t.loss, EvalLoss: v.last, EvalDue: v.due, BestLoss: v.best, BestStep: v.bestStep, Worse: v.worse,
		SameOrder: !t.reshuffled, Untold: t.told, Schedule: t.schedule.State(),
	})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, stateFile), body, 0o600)
}

// saved are the tensors of a checkpoint.
func (t *trainer) saved() []snapshot.Tensor {
	var out []snapshot.Tensor
	for i, p := range t.learn {
		out = append(out, snapshot.Tensor{Name: "weight." + p.name, Shape: p.shape, Numbers: p.data})
		if t.validated.weights != nil {
			out = append(out, snapshot.Tensor{Name: "best." + p.name, Shape: p.shape, Numbers: t.validated.weights[i]})
		}
	}
	for _, s := range t.optimizer.State() {
		out = append(out, snapshot.Tensor{Name: s.Name + "." + s.Weight, Shape: s.Shape, Numbers: s.Numbers, Bytes: s.Bytes})
	}
	return out
}

// load goes on from a checkpoint. One that is of another training leaves
// everything as it was.
func (t *trainer) load(dir string) error {
	s, err := t.belongs(dir)
	if err != nil {
		return &CheckpointError{File: dir, Err: fmt.Errorf("%w: %w", ErrForeign, err)}
	}
	if err := snapshot.Read(filepath.Join(dir, weightsFile), t.saved()); err != nil {
		return snapshotError(dir, err)
	}
	v := &t.validated
	t.step, t.loss, v.last, v.due, v.best, v.bestStep, v.worse = s.Step, s.Loss, s.EvalLoss, s.EvalDue, s.BestLoss, s.BestStep, s.Worse
	t.reshuffled, t.told = !s.SameOrder, s.Untold
	t.schedule.Restore(s.Schedule)
	t.model.changed()
	return nil
}

// belongs reads the state of a checkpoint, and looks whether it is of this
// training: one of as many steps, of weights with these names and shapes.
func (t *trainer) belongs(dir string) (s state, err error) {
	body, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateFile, err)
	}
	if s.Total != t.total {
		return s, fmt.Errorf("it is of %d steps, this training has %d", s.Total, t.total)
	}
	if t.cfg.KeepBest && s.BestStep > 0 {
		t.makeBest()
	}
	return s, snapshotError(dir, snapshot.Check(filepath.Join(dir, weightsFile), t.saved()))
}

// snapshotError is an error of the tensors of a checkpoint, with the file.
func snapshotError(dir string, err error) error {
	if _, named := errors.AsType[*fs.PathError](err); err == nil || named {
		return err
	}
	out := &CheckpointError{File: filepath.Join(dir, weightsFile), Err: err}
	if tensor, ok := errors.AsType[*snapshot.TensorError](err); ok {
		out.Tensor, out.Err = tensor.Tensor, tensor.Err
	}
	return out
}
