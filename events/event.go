package events

import (
	"encoding/json"
	"time"
)

// Event is a message about a run. Each event of this package is a plain struct;
// package codec of the bus adds the CloudEvents envelope.
type Event interface {
	// Type returns the wire name. It never changes: a breaking change is a new
	// version of the schema, not a new name.
	Type() string
	// Subject returns the subject on which the event is published.
	Subject() string
}

// Fact is an event that is stored once for each subject. The facts are the source
// of truth about a run.
type Fact interface {
	Event
	// Run returns the id of the run.
	Run() string
}

// Step is an entry of a plan.
type Step struct {
	Phase Phase `json:"phase"`
	// Queue is the queue of the job, which workers consume.
	Queue string `json:"queue"`
	// OnFailure is the policy if the step fails; empty means [Stop].
	OnFailure OnFailure `json:"on_failure,omitempty"`
}

// Lineage is the origin of a run.
type Lineage struct {
	// RequestSequence is the sequence of the request in the stream of requests.
	RequestSequence uint64 `json:"request_sequence,omitempty"`
	// RerunOf is the run that this run repeats. The artifacts of the phases
	// before the plan of this run are reused.
	RerunOf string `json:"rerun_of,omitempty"`
	// ReplayOf is the sequence of the request that this request repeats.
	ReplayOf uint64 `json:"replay_of,omitempty"`
}

// Inputs are the inputs of a run or a job, by reference.
type Inputs struct {
	// Model is the result of fine-tuning, or a model of the request.
	Model *Reference `json:"model,omitempty"`
	// Predictions are the answers of inference, as JSON lines.
	Predictions *Reference `json:"predictions,omitempty"`
	// BaselinePredictions are the answers of the base model to the same rows.
	BaselinePredictions *Reference `json:"baseline_predictions,omitempty"`
	// Files are the uploaded local files by the key of the specification that
	// named them, such as "fine_tuner.training_data_id".
	Files map[string]Reference `json:"files,omitempty"`
	// Paths are where uploaded files lay on the machine of the person who asked, as
	// absolute paths, by the keys of Files, and by "predictions" and
	// "baseline_predictions". Nobody opens them: they say from what a run can be
	// started again.
	Paths map[string]string `json:"paths,omitempty"`
}

// References returns the references by their keys, such as "inputs.model" or
// "inputs.files.fine_tuner.training_data_id".
func (in Inputs) References() map[string]Reference {
	refs := map[string]Reference{}
	for key, ref := range map[string]*Reference{
		"inputs.model":                in.Model,
		"inputs.predictions":          in.Predictions,
		"inputs.baseline_predictions": in.BaselinePredictions,
	} {
		if ref != nil {
			refs[key] = *ref
		}
	}
	for key, ref := range in.Files {
		refs["inputs.files."+key] = ref
	}
	return refs
}

// Artifact is a result of a phase.
type Artifact struct {
	// Name is the role: "model", "predictions", "metrics", "scores" and so on.
	Name      string    `json:"name"`
	Reference Reference `json:"reference"`
}

// Problem is an error in an event, without secrets and without a stack trace.
type Problem struct {
	// Code identifies the kind of error for programs, such as "missing_column".
	Code string `json:"code"`
	// Message is one sentence for people: the operation, the object and the next
	// step.
	Message string `json:"message"`
}

// Gate is a threshold for a score, and whether the score reached it. A score that
// too few rows have does not meet it.
type Gate struct {
	Metric  string  `json:"metric"`
	AtLeast float64 `json:"at_least"`
	Score   float64 `json:"score"`
	Met     bool    `json:"met"`
	// Reason says why a gate was missed whose score is high enough, or does not
	// exist.
	Reason string `json:"reason,omitempty"`
}

// Coverage says for how many rows a score stands.
type Coverage struct {
	// Scored is the number of rows that have the score, Rows that of all rows.
	Scored int64 `json:"scored"`
	Rows   int64 `json:"rows"`
}

// Share is the part of the rows that have the score, from 0 to 1; 0 without rows.
func (c Coverage) Share() float64 {
	if c.Rows == 0 {
		return 0
	}
	return float64(c.Scored) / float64(c.Rows)
}

// PhaseResult is the summary of a phase in [PipelineCompleted].
type PhaseResult struct {
	Phase           Phase      `json:"phase"`
	Conclusion      Conclusion `json:"conclusion"`
	DurationSeconds float64    `json:"duration_seconds"`
	Attempts        int        `json:"attempts"`
	Error           *Problem   `json:"error,omitempty"`
}

// PipelineRequested requests a run. People publish this event, as a CloudEvent or
// as its JSON data alone.
type PipelineRequested struct {
	// RunID may be chosen by the requester. By default intake generates it.
	RunID string `json:"run_id,omitempty"`
	// RunName is the name for people. By default intake generates it.
	RunName string `json:"run_name,omitempty"`
	// Specification configures the run: a JSON object with sections and keys
	// of [Specification]. Intake checks it and adds the defaults.
	Specification json.RawMessage `json:"specification"`
	// Labels are key and value pairs for finding runs.
	Labels map[string]string `json:"labels,omitempty"`
	Inputs Inputs            `json:"inputs,omitzero"`
	// Queues overrides the queues of phases.
	Queues map[Phase]string `json:"queues,omitempty"`
	// RerunOf repeats an older run: its results of the phases before From are
	// reused, and Specification has only the changes. Without From, the run
	// starts from the first phase that failed or that a change concerns.
	RerunOf string `json:"rerun_of,omitempty"`
	From    Phase  `json:"from,omitempty"`
	// ReplayOf is the sequence of the request that this one repeats.
	ReplayOf uint64 `json:"replay_of,omitempty"`
}

// PipelineAccepted is the first fact of a run. It has all decisions about the run.
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

// Fault is an error in a request.
type Fault struct {
	// Key is the faulty key, such as "fine_tuner.epochs".
	Key string `json:"key"`
	// Value is the wrong value as text; never the value of a secret.
	Value string `json:"value,omitempty"`
	// Allowed describes the allowed values.
	Allowed string `json:"allowed,omitempty"`
	Message string `json:"message"`
}

// PipelineRejected has all faults of a request. The third token of its subject is
// the sequence of the request, because there is no run.
type PipelineRejected struct {
	RequestSequence uint64 `json:"request_sequence"`
	// RunID is the id that the run would have, from the request or made by intake.
	RunID string `json:"run_id,omitempty"`
	// RunName is the name that the request asks for; empty if it asks for none that a run may
	// have.
	RunName string `json:"run_name,omitempty"`
	// Labels are those of the request that a run may have, as many as there is room for.
	Labels map[string]string `json:"labels,omitempty"`
	Faults []Fault           `json:"faults"`
}

// CancelRequested requests that a run ends as soon as possible.
type CancelRequested struct {
	RunID  string `json:"run_id"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PhaseRequested is a job, with everything that a worker needs.
type PhaseRequested struct {
	RunID         string        `json:"run_id"`
	RunName       string        `json:"run_name"`
	Phase         Phase         `json:"phase"`
	Queue         string        `json:"queue"`
	Specification Specification `json:"specification"`
	Plan          []Step        `json:"plan"`
	Inputs        Inputs        `json:"inputs,omitzero"`
	// RequestedAt is the time of the request, the start of the run's duration.
	RequestedAt time.Time `json:"requested_at,omitzero"`
}

// Origin returns the part of the run's accepted fact that is repeated in the job,
// which is all that [Next] needs. ok is false if the job has no time of the
// request: older programs did not repeat it.
func (e PhaseRequested) Origin() (_ PipelineAccepted, ok bool) {
	return PipelineAccepted{
		RunID:         e.RunID,
		RunName:       e.RunName,
		RequestedAt:   e.RequestedAt,
		Specification: e.Specification,
		Plan:          e.Plan,
		Inputs:        e.Inputs,
	}, !e.RequestedAt.IsZero()
}

// PhaseStarted means that an attempt claimed the job. Its sequence in the stream
// is the fencing token of the attempt.
type PhaseStarted struct {
	RunID   string `json:"run_id"`
	Phase   Phase  `json:"phase"`
	Attempt int    `json:"attempt"`
	// Worker is the name of the process, for people.
	Worker string `json:"worker"`
	Engine string `json:"engine,omitempty"`
	// ResumedFrom is the step that the attempt resumes from; 0 is the start.
	ResumedFrom int64 `json:"resumed_from,omitempty"`
	// StartedAt is the start of the attempt by the clock of the worker. The
	// timeout of a phase counts from the start of its first attempt.
	StartedAt time.Time `json:"started_at,omitzero"`
}

// AttemptEnded means that an attempt ended without completing its phase.
type AttemptEnded struct {
	RunID    string    `json:"run_id"`
	Phase    Phase     `json:"phase"`
	Attempt  int       `json:"attempt"`
	Reason   EndReason `json:"reason"`
	Error    *Problem  `json:"error,omitempty"`
	LastStep int64     `json:"last_step,omitempty"`
	// LostSteps is how many of the steps no checkpoint has: the next attempt makes them
	// again. Older programs do not say it.
	LostSteps int64     `json:"lost_steps,omitempty"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Artifacts are those that an attempt leaves that failed, such as its log. The
	// completion of the phase names them again.
	Artifacts []Artifact `json:"artifacts,omitempty"`
}

// The names of statistics of a training that others read: the steps that it made, those
// that it had without ending early, and that of the validation with the lowest eval_loss.
const (
	StatisticSteps        = "total_training_steps"
	StatisticPlannedSteps = "planned_training_steps"
	StatisticBestStep     = "best_step"
)

// PhaseCompleted ends a phase. Its artifacts are stored and verified.
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
	// Statistics are numbers about the phase by name, such as
	// "final_training_loss" or, after evaluation, "eval_rouge_score".
	Statistics map[string]float64 `json:"statistics,omitempty"`
	// Scores and BaselineScores are the means of each metric.
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	// Coverage and BaselineCoverage say for how many rows each score stands. A
	// metric that no row has a score of is in Coverage alone. Older programs do not
	// say it.
	Coverage         map[string]Coverage `json:"coverage,omitempty"`
	BaselineCoverage map[string]Coverage `json:"baseline_coverage,omitempty"`
	Gates            []Gate              `json:"gates,omitempty"`
	// TokensIn and TokensOut are the numbers of tokens read and generated.
	TokensIn  int64 `json:"tokens_in,omitempty"`
	TokensOut int64 `json:"tokens_out,omitempty"`
	// Used are values that a training used in place of those of the specification, by
	// key, as a file has them: "fine_tuner.rank" of an adapter that was trained further.
	Used map[string]string `json:"used,omitempty"`
	// Notes describe parts of the specification that had no effect.
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

// PipelineCompleted ends a run.
type PipelineCompleted struct {
	RunID           string             `json:"run_id"`
	Conclusion      Conclusion         `json:"conclusion"`
	StartedAt       time.Time          `json:"started_at"`
	EndedAt         time.Time          `json:"ended_at"`
	DurationSeconds float64            `json:"duration_seconds"`
	Phases          []PhaseResult      `json:"phases"`
	Scores          map[string]float64 `json:"scores,omitempty"`
	BaselineScores  map[string]float64 `json:"baseline_scores,omitempty"`
	// Coverage and BaselineCoverage are those of the evaluation.
	Coverage         map[string]Coverage `json:"coverage,omitempty"`
	BaselineCoverage map[string]Coverage `json:"baseline_coverage,omitempty"`
	Gates            []Gate              `json:"gates,omitempty"`
	// FailedPhases are the phases that failed although the run continued.
	FailedPhases []Phase `json:"failed_phases,omitempty"`
}

// TrackingCompleted means that the run is tracked, with links to MLflow and the
// reports.
type TrackingCompleted struct {
	RunID string            `json:"run_id"`
	Links map[string]string `json:"links,omitempty"`
	// Gaps describe data that could not be tracked, with the reason; of a deleted run
	// what could not be removed or marked.
	Gaps []string `json:"gaps,omitempty"`
	// Deleted is set if the run was deleted: its reports are removed, and its MLflow
	// runs are marked.
	Deleted bool `json:"deleted,omitempty"`
	// Notes say of a deleted run which files of others stay in its report folder, and
	// what was gone before.
	Notes []string `json:"notes,omitempty"`
}

// PipelineDeleted means that a person removes a run that has ended. It is stored
// before anything of the run is removed, and stays when everything is gone: no run
// of that id exists any more, and none can be made again.
type PipelineDeleted struct {
	RunID string `json:"run_id"`
	// RunName is the name for people that the run had.
	RunName   string    `json:"run_name,omitempty"`
	DeletedAt time.Time `json:"deleted_at"`
	// RequestedAt is when the run was asked for. It tells its reports and its MLflow runs
	// from those of another data folder's run of the same id.
	RequestedAt time.Time `json:"requested_at,omitzero"`
	// RequestSequence is that of the request that made the run.
	RequestSequence uint64 `json:"request_sequence,omitempty"`
	// TrackingURI and ExperimentName are those of the run's specification. They say
	// where its MLflow runs are, which stay and are marked as deleted.
	TrackingURI    string `json:"tracking_uri,omitempty"`
	ExperimentName string `json:"experiment_name,omitempty"`
	// Links are those of the run's tracking.completed, which is removed: they say
	// where its reports and its MLflow runs are, also if the specification names a
	// relative folder. A run that was not tracked to its end has none.
	Links map[string]string `json:"links,omitempty"`
}

// Progress is a batch of metric points of an attempt. It is no fact, and the stream
// may drop it by age.
type Progress struct {
	RunID   string  `json:"run_id"`
	Phase   Phase   `json:"phase"`
	Attempt int     `json:"attempt"`
	Step    int64   `json:"step"`
	Total   int64   `json:"total,omitempty"`
	Points  []Point `json:"points,omitempty"`
	// Stage is [StagePrepare] before the first step of the work; empty afterwards.
	// Then Step and Total count rows.
	Stage string `json:"stage,omitempty"`
	// Warnings are sentences for people, each published once.
	Warnings []string `json:"warnings,omitempty"`
	// RemainingSeconds is the estimated remaining time.
	RemainingSeconds float64 `json:"remaining_seconds,omitempty"`
	// WaitsFor is what the attempt waits for, such as "the artifact store to have
	// room". Empty means that it does not wait, or not for long.
	WaitsFor string `json:"waits_for,omitempty"`
}

// StagePrepare is the stage in which a phase reads and encodes its data.
const StagePrepare = "prepare"

// Telemetry is a sample of the worker's machine. The keys are MLflow's names of
// system metrics without the prefix "system/".
type Telemetry struct {
	RunID   string  `json:"run_id"`
	Phase   Phase   `json:"phase"`
	Attempt int     `json:"attempt"`
	Points  []Point `json:"points"`
}

// Log is a batch of lines that an attempt logged. It is no fact, and the stream may
// drop it by age, by size, or when the attempt logs very much.
type Log struct {
	RunID   string `json:"run_id"`
	Phase   Phase  `json:"phase"`
	Attempt int    `json:"attempt"`
	// First is the number of the first of the lines, from 1. Numbers that no batch
	// has are lines that were not published.
	First int64     `json:"first"`
	Lines []LogLine `json:"lines"`
}

// LogLine is a line of a log.
type LogLine struct {
	Time time.Time `json:"time"`
	// Level is "info", "warning" or "error", or the stream that a child process wrote
	// the line to, "stdout" or "stderr".
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Point is a value of a metric.
type Point struct {
	Key   string    `json:"key"`
	Value float64   `json:"value"`
	Step  int64     `json:"step"`
	Time  time.Time `json:"time"`
}
