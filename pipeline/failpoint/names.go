package failpoint

// Name is the name of a point.
type Name string

// Points around the publishing of a fact.
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
	BeforePublished         Name = "published.before"
	AfterPublished          Name = "published.after"
	BeforeDeleted           Name = "run_deleted.before"
	AfterDeleted            Name = "run_deleted.after"
)

// Pushed is between a push to the Hub and the fact about it.
const Pushed Name = "pushed"

// Points of a deletion.
const (
	// DeletedArtifacts is between the artifacts of runs and their archives,
	// DeletedArchive between the archive of a run and its facts, and DeletedReports
	// between its reports and the tags of its MLflow runs.
	DeletedArtifacts Name = "deleted.artifacts"
	DeletedArchive   Name = "deleted.archive"
	DeletedReports   Name = "deleted.reports"
)

// Points of a delivery.
const (
	// BeforeNext is between a fact and the event that follows from it.
	BeforeNext Name = "follow"
	BeforeAck  Name = "ack.before"
	AfterAck   Name = "ack.after"
	// BeforeNak is before a message is returned for redelivery.
	BeforeNak Name = "nak.before"
	// BeforeDeadLetter and AfterDeadLetter are around storing a dead letter.
	BeforeDeadLetter Name = "dead_letter.before"
	AfterDeadLetter  Name = "dead_letter.after"
)

// Points of a job.
const (
	// JobDelivered is before a delivered job is claimed.
	JobDelivered Name = "job.taken"
	// JobScratch is after the scratch folder was created.
	JobScratch Name = "job.scratch"
	// JobResumed is after the checkpoint of an earlier attempt was fetched.
	JobResumed Name = "job.resumed"
	// JobDone is between the end of the engine and storing the metric history.
	JobDone Name = "job.done"
	// JobDropped is while the artifacts of a lost attempt are deleted.
	JobDropped Name = "job.dropped"
	// CancelClaimed is after intake claimed a cancelled job and before it ends it.
	CancelClaimed Name = "cancel.taken"
)

// Points of a checkpoint.
const (
	// CheckpointWritten is before a checkpoint is uploaded.
	CheckpointWritten Name = "checkpoint.written"
	// CheckpointStored is between its upload and its registration.
	CheckpointStored Name = "checkpoint.stored"
	// CheckpointRegistered is before the previous checkpoint is deleted.
	CheckpointRegistered Name = "checkpoint.pointed"
	// CheckpointUnregistered is between removing the registration and deleting
	// the checkpoint, after the phase is completed.
	CheckpointUnregistered Name = "checkpoint.forgotten"
)

// Points of an artifact.
const (
	// ArtifactPartlySent is after a part of an artifact was sent.
	ArtifactPartlySent Name = "artifact.under_way"
	// ArtifactUnnamed is after all of it was written and before it has its name.
	ArtifactUnnamed Name = "artifact.unnamed"
	// ArtifactUnverified is before it is read back.
	ArtifactUnverified Name = "artifact.unverified"
	// ObjectUnnamed is the same in JetStream's Object Store.
	ObjectUnnamed Name = "object.unnamed"
)

// Points of the tracker.
const (
	// LeaseTaken and LeaseDone are at the start and the end of the time in which
	// one tracker has the lease of a run.
	LeaseTaken Name = "lease.taken"
	LeaseDone  Name = "lease.done"
	// ReportUnnamed is after a file was written and before it has its name.
	// ReportNext is between two files, ReportList between the two files of the
	// list of runs.
	ReportUnnamed Name = "report.unnamed"
	ReportNext    Name = "report.next"
	ReportList    Name = "report.list"
	// MLflowUnrecorded is after a run was created, completely or in part, and
	// before its id is known.
	MLflowUnrecorded Name = "mlflow.unrecorded"
	// MLflowCreated, MLflowParams, MLflowMetrics and MLflowArtifacts are after
	// the last of these was written and before the next one. MLflowEnded is
	// after one run was ended and before the others.
	MLflowCreated   Name = "mlflow.created"
	MLflowParams    Name = "mlflow.params"
	MLflowMetrics   Name = "mlflow.metrics"
	MLflowArtifacts Name = "mlflow.artifacts"
	MLflowEnded     Name = "mlflow.ended"
	// MLflowFile is after a file of the layout was written and before it has its
	// name, MLflowFolder the same for a folder.
	MLflowFile   Name = "mlflow.file"
	MLflowFolder Name = "mlflow.folder"
)

// All returns all points.
func All() []Name {
	return []Name{
		BeforeAccepted, AfterAccepted, BeforeRejected, AfterRejected, BeforeCancelRequested, AfterCancelRequested,
		BeforeRequested, AfterRequested, BeforeStarted, AfterStarted, BeforeAttemptEnded, AfterAttemptEnded,
		BeforeCompleted, AfterCompleted, BeforePipelineCompleted, AfterPipelineCompleted, BeforeTracked, AfterTracked, BeforePublished, AfterPublished, Pushed,
		BeforeDeleted, AfterDeleted, DeletedArtifacts, DeletedArchive, DeletedReports,
		BeforeNext, BeforeAck, AfterAck, BeforeNak, BeforeDeadLetter, AfterDeadLetter,
		JobDelivered, JobScratch, JobResumed, JobDone, JobDropped, CancelClaimed,
		CheckpointWritten, CheckpointStored, CheckpointRegistered, CheckpointUnregistered,
		ArtifactPartlySent, ArtifactUnnamed, ArtifactUnverified, ObjectUnnamed,
		LeaseTaken, LeaseDone, ReportUnnamed, ReportNext, ReportList,
		MLflowUnrecorded, MLflowCreated, MLflowParams, MLflowMetrics, MLflowArtifacts, MLflowEnded, MLflowFile, MLflowFolder,
	}
}
