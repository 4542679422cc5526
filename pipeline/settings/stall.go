package settings

import (
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// FinetuneStall is the section services.finetune.stall: how long a job may be in
// a stage without any progress before another worker gets it.
type FinetuneStall struct {
	Fetch     time.Duration `json:"fetch" default:"10m" doc:"reading a model, a data set or a checkpoint without a byte; 0: no limit, here and below"`
	Load      time.Duration `json:"load" default:"15m" doc:"opening the model"`
	Tokenise  time.Duration `json:"tokenise" default:"10m" doc:"reading and encoding rows without a row"`
	FirstStep time.Duration `json:"first_step" default:"30m" doc:"training until the first step"`
	Train     time.Duration `json:"train" default:"15m" doc:"training without a step"`
	Save      time.Duration `json:"save" default:"15m" doc:"writing and storing a checkpoint, or writing the result, without a byte; ending a job"`
	Upload    time.Duration `json:"upload" default:"10m" doc:"storing a result without a byte"`
}

// InferenceStall is the section services.inference.stall.
type InferenceStall struct {
	Fetch     time.Duration `json:"fetch" default:"10m" doc:"reading a model, a data set or a checkpoint without a byte; 0: no limit, here and below"`
	Load      time.Duration `json:"load" default:"15m" doc:"opening the model"`
	Tokenise  time.Duration `json:"tokenise" default:"10m" doc:"reading and encoding rows without a row"`
	FirstStep time.Duration `json:"first_step" default:"30m" doc:"generating until the first answer"`
	Generate  time.Duration `json:"generate" default:"15m" doc:"generating without an answer or a token"`
	Save      time.Duration `json:"save" default:"15m" doc:"writing and storing a checkpoint, or writing the result, without a byte; ending a job"`
	Upload    time.Duration `json:"upload" default:"10m" doc:"storing the answers without a byte"`
}

// EvaluationStall is the section services.evaluation.stall.
type EvaluationStall struct {
	Fetch  time.Duration `json:"fetch" default:"10m" doc:"reading the answers or a checkpoint without a byte; 0: no limit, here and below"`
	Score  time.Duration `json:"score" default:"15m" doc:"scoring without a row, or a reply of the judge"`
	Save   time.Duration `json:"save" default:"15m" doc:"writing and storing a checkpoint, or writing the result, without a byte; ending a job"`
	Upload time.Duration `json:"upload" default:"10m" doc:"storing the scores without a byte"`
}

// Stall returns the limits of the stages of a phase.
func (s Settings) Stall(p events.Phase) progress.Limits {
	switch p {
	case events.Inference:
		l := s.InferenceStall
		return progress.Limits{
			progress.Fetch:     l.Fetch,
			progress.Load:      l.Load,
			progress.Tokenise:  l.Tokenise,
			progress.FirstStep: l.FirstStep,
			progress.Generate:  l.Generate,
			progress.Save:      l.Save,
			progress.Upload:    l.Upload,
		}
	case events.Evaluation:
		l := s.EvaluationStall
		return progress.Limits{
			progress.Fetch:  l.Fetch,
			progress.Score:  l.Score,
			progress.Save:   l.Save,
			progress.Upload: l.Upload,
		}
	default:
		l := s.FinetuneStall
		return progress.Limits{
			progress.Fetch:     l.Fetch,
			progress.Load:      l.Load,
			progress.Tokenise:  l.Tokenise,
			progress.FirstStep: l.FirstStep,
			progress.Train:     l.Train,
			progress.Save:      l.Save,
			progress.Upload:    l.Upload,
		}
	}
}
