package llm

import "math"

// The schedulers that the engine has, by their Hugging Face names.
const (
	schedLinear       = "linear"
	schedCosine       = "cosine"
	schedRestarts     = "cosine_with_restarts"
	schedPolynomial   = "polynomial"
	schedConstant     = "constant"
	schedConstantWarm = "constant_with_warmup"
	schedInverseRoot  = "inverse_sqrt"
)

// Schedulers are the ways in which the learning rate falls, with the settings that
// transformers gives them: one restart at the end, a line to 1e-7, and 10,000 steps of
// inverse_sqrt without a warm-up.
func Schedulers() []string {
	return []string{schedLinear, schedCosine, schedRestarts, schedPolynomial, schedConstant, schedConstantWarm, schedInverseRoot}
}

// schedule is the share of the learning rate at a step, counted from 0.
// Source: transformers, optimization.py.
func schedule(c TrainConfig, step, total int64) float64 {
	s, warm, all := float64(step), float64(c.WarmupSteps), float64(total)
	if c.Scheduler == schedConstant {
		return 1
	}
	if s < warm {
		return s / max(1, warm)
	}
	progress := (s - warm) / max(1, all-warm)
	switch c.Scheduler {
	case schedConstantWarm:
		return 1
	case schedCosine, schedRestarts: // of one cycle, which are the same
		return max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	case schedPolynomial:
		const end = 1e-7
		if c.LearningRate <= 0 {
			return 0
		}
		return max(0, 1-progress) + min(1, progress)*end/c.LearningRate
	case schedInverseRoot:
		scale := warm
		if scale == 0 {
			scale = 10_000
		}
		return 1 / math.Sqrt((s+scale-warm)/scale)
	}
	return max(0, 1-progress)
}
