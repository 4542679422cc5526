package events

// Phase is one of the three steps of a pipeline.
type Phase string

// The phases, in the order in which a plan runs them.
const (
	Finetune   Phase = "finetune"
	Inference  Phase = "inference"
	Evaluation Phase = "evaluation"
)

// Phases returns the phases in the order in which a plan runs them.
func Phases() []Phase { return []Phase{Finetune, Inference, Evaluation} }

// Valid reports whether p is one of [Phases].
func (p Phase) Valid() bool { return p == Finetune || p == Inference || p == Evaluation }

// Conclusion is the result of a phase or a run.
type Conclusion string

// The conclusions, named as in GitHub's workflow events.
const (
	Success   Conclusion = "success"
	Failure   Conclusion = "failure"
	Cancelled Conclusion = "cancelled"
)

// Valid reports whether c is a conclusion.
func (c Conclusion) Valid() bool { return c == Success || c == Failure || c == Cancelled }

// OnFailure is what a plan does after a failed step.
type OnFailure string

// The failure policies. Stop is the default.
const (
	Stop     OnFailure = "stop"
	Continue OnFailure = "continue"
)

// EndReason is the reason why an attempt ended without completing its phase.
type EndReason string

// The reasons. Only EndError counts as a try.
const (
	EndError    EndReason = "error"
	EndShutdown EndReason = "shutdown"
	EndLost     EndReason = "lost"
)

// CodeStalled is the code of the error of an attempt that made no progress. Its
// worker let the job go, so it ended by [EndLost], and it counts as a crash.
const CodeStalled = "stalled"
