package llm

import (
	"github.com/tunebus/tunebus/llm/internal/optimizer"
	"github.com/tunebus/tunebus/llm/internal/schedule"
)

// Schedulers are the ways in which the learning rate falls, by their Hugging Face
// names.
func Schedulers() []string { return schedule.Names() }

// Optimizers are the ways in which weights change, by their Hugging Face names.
func Optimizers() []string { return optimizer.Names() }

// CheckSchedule returns the error of a schedule that there is not, or of arguments that
// it does not take.
func (c TrainConfig) CheckSchedule() error {
	const steps = 1_000_000 // however many there will be
	_, err := schedule.New(c.Scheduler, c.SchedulerArguments, schedule.Span{Rate: c.LearningRate, Warmup: c.WarmupSteps, Steps: steps})
	return err
}

func (c TrainConfig) optimizer() optimizer.Settings {
	return optimizer.Settings{Method: c.Optimizer, Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon, Momentum: c.Momentum, Dampening: c.Dampening, Nesterov: c.Nesterov}
}
