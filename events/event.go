package events

import (
	"encoding/json"
	"time"
)

// Event is one thing that happened. Every event of this package is a plain
// struct; the CloudEvents
// envelope around it is the bus's affair.
type Event interface {
	// Type is the wire name. It never changes: a breaking change is a new
	// version of the schema, not a new name.
	Type() string
	// Subject is where the event is published.
	Subject() string
}

// Fact is an event of the source of truth: stored once for each subject.
type Fact interface {
	Event
	// Run is the id of the run that the fact belongs to.
	Run() string
}

// Step is one entry of a plan.
type Step struct {
	Phase Phase `json:"phase"`
	// Queue names the workers that may take the step's job.
	Queue string `json:"queue"`
	// OnFailure is the policy when the step fails; empty means [Stop].
	OnFailure OnFailure `json:"on_failure,omitempty"`
}

// Lineage says where a run comes from.
type Lineage struct {
	// RequestSequence is the request's sequence in the stream of requests.
	RequestSequence uint64 `json:"request_sequence,omitempty"`
	// RerunOf is the run that this one repeats, with the artifacts of the
	// phases before this one's plan.
	RerunOf string `json:"rerun_of,omitempty"`
	// ReplayOf is the sequence of the request that was submitted again.
	ReplayOf uint64 `json:"replay_of,omitempty"`
}

// Inputs are what a run or a job starts from, by reference.
type Inputs struct {
	// Model is what fine-tuning made, or what a request gave instead.
	Model *Reference `json:"model,omitempty"`
	// Predictions are the answers of inference, as JSON lines.
	Predictions *Reference `json:"predictions,omitempty"`
	// BaselinePredictions are the base model's answers to the same rows.
	BaselinePredictions *Reference `json:"baseline_predictions,omitempty"`
	// Files are local files that the submitter uploaded, by the key of the
	// specification that named them, such as "fine_tuner.training_data_id".
	Files map[string]Reference `json:"files,omitempty"`
}

// Artifact is something that a phase made.
type Artifact struct {
	// Name is the role: "model", "predictions", "metrics", "scores" and so on.
	Name      string    `json:"name"`
	Reference Reference `json:"reference"`
}

// Problem is an error as it travels: without secrets, without a stack.
type Problem struct {
	// Code is a stable, lower-case word for programs, such as "missing_column".
	Code string `json:"code"`
	// Message is one sentence for people: what, on which object, what to do.
	Message string `json:"message"`
}

// Gate is a threshold on a score, and whether it was met.
type Gate struct {
	Metric  string  `json:"metric"`
	AtLeast float64 `json:"at_least"`
	Score   float64 `json:"score"`
	Met     bool    `json:"met"`
}

// PhaseResult sums up one phase in [PipelineCompleted].
type PhaseResult struct {
	Phase           Phase      `json:"phase"`
	Conclusion      Conclusion `json:"conclusion"`
	DurationSeconds float64    `json:"duration_seconds"`
	Attempts        int        `json:"attempts"`
	Error           *Problem   `json:"error,omitempty"`
}

// PipelineRequested asks for a run. It is the one event that people publish,
// as a CloudEvent or as this JSON alone.
type PipelineRequested struct {
	// RunID may be chosen by the requester; by default intake derives it.
	RunID string `json:"run_id,omitempty"`
	// RunName is the name that people read; by default intake generates it.
	RunName string `json:"run_name,omitempty"`
	// Specification says what the run is, as far as the requester says it:
	// a JSON object with the sections and keys of [Specification]. Intake
	// checks it and fills in the defaults.
	Specification json.RawMessage `json:"specification"`
	// Labels are free key and value pairs to find runs by.
	Labels map[string]string `json:"labels,omitempty"`
	Inputs Inputs            `json:"inputs,omitzero"`
	// Queues overrides the queue of a phase.
	Queues map[Phase]string `json:"queues,omitempty"`
	// RerunOf repeats an older run: what it made before the phase From is
	// used again, and Specification says only what changes. Without From,
	// intake starts at the first phase that has anything new to do.
	RerunOf string `json:"rerun_of,omitempty"`
	From    Phase  `json:"from,omitempty"`
	// ReplayOf is the sequence of the request that this one submits again.
	ReplayOf uint64 `json:"replay_of,omitempty"`
}

// PipelineAccepted is the first fact of a run: everything about it is
// decided here, once.
type PipelineAccepted struct {
	RunID         string            `json:"run_id"`
	RunName       string            `json:"run_name"`
	RequestedAt   time.Time         `json:"requested_at"`
	Specification Specification     `json:"specification"`
	Plan          []Step            `json:"plan"`
	Labels        map[string]string `json:"labels,omitempty"`
	Inputs        Inputs            `json:"inputs,omitzero"`
	Lineage       Lineage           `json:"lineage,omitzero"`
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	// Key is the faulty key, such as "fine_tuner.epochs".
	Key string `json:"key"`
	// Value is what was given, as text; never a secret's value.
	Value string `json:"value,omitempty"`
	// Allowed says what is allowed there.
	Allowed string `json:"allowed,omitempty"`
	Message string `json:"message"`
}

// PipelineRejected lists every fault of a request at once. Its third token is
// the request's sequence, since no run came of it.
type PipelineRejected struct {
	RequestSequence uint64  `json:"request_sequence"`
	RunID           string  `json:"run_id,omitempty"`
	Faults          []Fault `json:"faults"`
}

// CancelRequested asks that a run ends as soon as it can.
type CancelRequested struct {
	RunID  string `json:"run_id"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PhaseRequested is the job: all that a worker needs to know.
type PhaseRequested struct {
	RunID         string        `json:"run_id"`
	RunName       string        `json:"run_name"`
	Phase         Phase         `json:"phase"`
	Queue         string        `json:"queue"`
	Specification Specification `json:"specification"`
	Plan          []Step        `json:"plan"`
	Inputs        Inputs        `json:"inputs,omitzero"`
	// RequestedAt is when the run was requested, which its duration counts
	// from.
	RequestedAt time.Time `json:"requested_at,omitzero"`
}

// Origin is the accepted fact of the job's run as far as the job repeats it:
// all that [Next] asks of it. ok is false if the job leaves something out.
func (e PhaseRequested) Origin() (_ PipelineAccepted, ok bool) {
	return PipelineAccepted{
		RunID: e.RunID, RunName: e.RunName, RequestedAt: e.RequestedAt,
		Specification: e.Specification, Plan: e.Plan, Inputs: e.Inputs,
	}, !e.RequestedAt.IsZero()
}

// PhaseStarted says that an attempt holds the job. Its sequence in the stream
// is the attempt's fencing token.
type PhaseStarted struct {
	RunID   string `json:"run_id"`
	Phase   Phase  `json:"phase"`
	Attempt int    `json:"attempt"`
	// Worker names the process, for people.
	Worker string `json:"worker"`
	Engine string `json:"engine,omitempty"`
	// ResumedFrom is the step that the attempt goes on from; 0 is the start.
	ResumedFrom int64 `json:"resumed_from,omitempty"`
	// StartedAt is when the attempt began, by the worker's clock. The timeout
	// of a phase counts from that of its first attempt.
	StartedAt time.Time `json:"started_at,omitzero"`
}

// AttemptEnded says that an attempt ended without completing its phase.
type AttemptEnded struct {
	RunID    string    `json:"run_id"`
	Phase    Phase     `json:"phase"`
	Attempt  int       `json:"attempt"`
	Reason   EndReason `json:"reason"`
	Error    *Problem  `json:"error,omitempty"`
	LastStep int64     `json:"last_step,omitempty"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
}

// PhaseCompleted ends a phase, once. What it refers to is stored and verified.
type PhaseCompleted struct {
	RunID      string     `json:"run_id"`
	Phase      Phase      `json:"phase"`
	Attempt    int        `json:"attempt"`
	Conclusion Conclusion `json:"conclusion"`
	StartedAt  time.Time  `json:"started_at"`
	EndedAt    time.Time  `json:"ended_at"`
	Artifacts  []Artifact `json:"artifacts,omitempty"`
	// Datasets are the data sets of the specification that the phase read.
	Datasets []Dataset `json:"datasets,omitempty"`
	// Statistics are the phase's figures by name, such as
	// "final_training_loss" or, after evaluation, "eval_rouge_score".
	Statistics map[string]float64 `json:"statistics,omitempty"`
	// Scores and BaselineScores are the means of each metric.
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	Gates          []Gate             `json:"gates,omitempty"`
	// Tokens counts what the phase read and wrote.
	TokensIn  int64 `json:"tokens_in,omitempty"`
	TokensOut int64 `json:"tokens_out,omitempty"`
	// Notes name what was asked for and could not be honoured.
	Notes []string `json:"notes,omitempty"`
	Error *Problem `json:"error,omitempty"`
}

// Artifact returns the reference of the artifact called name.
func (e PhaseCompleted) Artifact(name string) (Reference, bool) {
	for _, a := range e.Artifacts {
		if a.Name == name {
			return a.Reference, true
		}
	}
	return Reference{}, false
}

// PipelineCompleted is the last fact of a run's work.
type PipelineCompleted struct {
	RunID           string             `json:"run_id"`
	Conclusion      Conclusion         `json:"conclusion"`
	StartedAt       time.Time          `json:"started_at"`
	EndedAt         time.Time          `json:"ended_at"`
	DurationSeconds float64            `json:"duration_seconds"`
	Phases          []PhaseResult      `json:"phases"`
	Scores          map[string]float64 `json:"scores,omitempty"`
	BaselineScores  map[string]float64 `json:"baseline_scores,omitempty"`
	Gates           []Gate             `json:"gates,omitempty"`
	// FailedPhases names the phases that failed while the run went on.
	FailedPhases []Phase `json:"failed_phases,omitempty"`
}

// TrackingCompleted says where the run can be looked at.
type TrackingCompleted struct {
	RunID string            `json:"run_id"`
	Links map[string]string `json:"links,omitempty"`
	// Gaps name what could not be tracked, and why.
	Gaps []string `json:"gaps,omitempty"`
}

// Progress is one batch of metric points of an attempt; it is no fact and may
// be dropped by age.
type Progress struct {
	RunID   string  `json:"run_id"`
	Phase   Phase   `json:"phase"`
	Attempt int     `json:"attempt"`
	Step    int64   `json:"step"`
	Total   int64   `json:"total,omitempty"`
	Points  []Point `json:"points,omitempty"`
	// Remaining is the estimated time left, in seconds.
	RemainingSeconds float64 `json:"remaining_seconds,omitempty"`
}

// Telemetry is a sample of the worker's machine, named as MLflow names system
// metrics, without the "system/" in front.
type Telemetry struct {
	RunID   string  `json:"run_id"`
	Phase   Phase   `json:"phase"`
	Attempt int     `json:"attempt"`
	Points  []Point `json:"points"`
}

// Point is one value of a metric.
type Point struct {
	Key   string    `json:"key"`
	Value float64   `json:"value"`
	Step  int64     `json:"step"`
	Time  time.Time `json:"time"`
}
