package failpoint

// Name names a point.
type Name string

// Around the publishing of a fact.
const (
	BeforeAccepted          Name = "accepted.before"
	AfterAccepted           Name = "accepted.after"
	BeforeRejected          Name = "rejected.before"
	AfterRejected           Name = "rejected.after"
	BeforeCancelRequested   Name = "cancel_requested.before"
	AfterCancelRequested    Name = "cancel_requested.after"
	BeforeRequested         Name = "requested.before"
	AfterRequested          Name = "requested.after"
	BeforeStarted           Name = "started.before"
	AfterStarted            Name = "started.after"
	BeforeAttemptEnded      Name = "attempt_ended.before"
	AfterAttemptEnded       Name = "attempt_ended.after"
	BeforeCompleted         Name = "completed.before"
	AfterCompleted          Name = "completed.after"
	BeforePipelineCompleted Name = "pipeline_completed.before"
	AfterPipelineCompleted  Name = "pipeline_completed.after"
	BeforeTracked           Name = "tracked.before"
	AfterTracked            Name = "tracked.after"
)

// Of a delivery.
const (
	// Follow is between a fact and what follows from it.
	Follow    Name = "follow"
	BeforeAck Name = "ack.before"
	AfterAck  Name = "ack.after"
	// BeforeNak is before a message is given back.
	BeforeNak Name = "nak.before"
	// BeforeBury and AfterBury are around the copy of a dead letter.
	BeforeBury Name = "bury.before"
	AfterBury  Name = "bury.after"
)

// Of a job.
const (
	// JobTaken is before a delivered job is claimed.
	JobTaken Name = "job.taken"
	// JobScratch is when the scratch folder was made.
	JobScratch Name = "job.scratch"
	// JobResumed is when the checkpoint of an earlier attempt was fetched.
	JobResumed Name = "job.resumed"
	// JobDone is between the engine's end and the metric history's storing.
	JobDone Name = "job.done"
	// JobDropped is in the middle of the dropping of what a lost attempt stored.
	JobDropped Name = "job.dropped"
	// CancelTaken is when intake holds a cancelled job and has not ended it.
	CancelTaken Name = "cancel.taken"
)

// Of a checkpoint.
const (
	// CheckpointWritten is before a checkpoint is uploaded.
	CheckpointWritten Name = "checkpoint.written"
	// CheckpointStored is between its upload and the pointer to it.
	CheckpointStored Name = "checkpoint.stored"
	// CheckpointPointed is before the one before is dropped.
	CheckpointPointed Name = "checkpoint.pointed"
	// CheckpointForgotten is between the pointer's removal and the
	// checkpoint's, when the phase is completed.
	CheckpointForgotten Name = "checkpoint.forgotten"
)

// Of an artifact.
const (
	// ArtifactUnderWay is when a part of an artifact was sent.
	ArtifactUnderWay Name = "artifact.under_way"
	// ArtifactUnnamed is when all of it was written and it has no name yet.
	ArtifactUnnamed Name = "artifact.unnamed"
	// ArtifactUnverified is before it is read back.
	ArtifactUnverified Name = "artifact.unverified"
	// ObjectUnnamed is [ArtifactUnnamed] in JetStream's Object Store.
	ObjectUnnamed Name = "object.unnamed"
)

// Of the tracker.
const (
	// LeaseTaken and LeaseDone are at the begin and the end of the time in
	// which one tracker alone writes a run.
	LeaseTaken Name = "lease.taken"
	LeaseDone  Name = "lease.done"
	// ReportUnnamed is when a file was written and has no name yet, ReportNext
	// is between two files, ReportList between the two files of the run list.
	ReportUnnamed Name = "report.unnamed"
	ReportNext    Name = "report.next"
	ReportList    Name = "report.list"
	// MLflowUnrecorded is when a run was created in part, or was created and
	// its id is not known yet.
	MLflowUnrecorded Name = "mlflow.unrecorded"
	// MLflowCreated, MLflowParams, MLflowMetrics and MLflowArtifacts are when
	// the last of these was written and the next was not; MLflowEnded is when
	// one run was ended and the others were not.
	MLflowCreated   Name = "mlflow.created"
	MLflowParams    Name = "mlflow.params"
	MLflowMetrics   Name = "mlflow.metrics"
	MLflowArtifacts Name = "mlflow.artifacts"
	MLflowEnded     Name = "mlflow.ended"
	// MLflowFile is when a file of the layout was written and has no name yet,
	// MLflowFolder when a whole folder of them was and has none.
	MLflowFile   Name = "mlflow.file"
	MLflowFolder Name = "mlflow.folder"
)

// All lists every point.
func All() []Name {
	return []Name{
		BeforeAccepted, AfterAccepted, BeforeRejected, AfterRejected, BeforeCancelRequested, AfterCancelRequested,
		BeforeRequested, AfterRequested, BeforeStarted, AfterStarted, BeforeAttemptEnded, AfterAttemptEnded,
		BeforeCompleted, AfterCompleted, BeforePipelineCompleted, AfterPipelineCompleted, BeforeTracked, AfterTracked,
		Follow, BeforeAck, AfterAck, BeforeNak, BeforeBury, AfterBury,
		JobTaken, JobScratch, JobResumed, JobDone, JobDropped, CancelTaken,
		CheckpointWritten, CheckpointStored, CheckpointPointed, CheckpointForgotten,
		ArtifactUnderWay, ArtifactUnnamed, ArtifactUnverified, ObjectUnnamed,
		LeaseTaken, LeaseDone, ReportUnnamed, ReportNext, ReportList,
		MLflowUnrecorded, MLflowCreated, MLflowParams, MLflowMetrics, MLflowArtifacts, MLflowEnded, MLflowFile, MLflowFolder,
	}
}
