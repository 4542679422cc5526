package events

import (
	"fmt"
	"strconv"
	"strings"
)

// The streams. Package topology of the bus defines their limits and subjects.
const (
	StreamRequests = "TUNEBUS_REQUESTS"
	StreamFacts    = "TUNEBUS"
	StreamMetrics  = "TUNEBUS_METRICS"
	StreamLogs     = "TUNEBUS_LOGS"
	StreamDead     = "TUNEBUS_DEAD"
)

// The wire names of events that belong to no phase.
const (
	TypePipelineRequested = "pipeline.requested"
	TypePipelineAccepted  = "pipeline.accepted"
	TypePipelineRejected  = "pipeline.rejected"
	TypeCancelRequested   = "pipeline.cancel_requested"
	TypePipelineCompleted = "pipeline.completed"
	TypeTrackingCompleted = "tracking.completed"
	TypePipelineDeleted   = "pipeline.deleted"
)

// The wire names of the events of a phase are <phase>.<one of these>.
const (
	EventRequested    = "requested"
	EventStarted      = "started"
	EventAttemptEnded = "attempt_ended"
	EventCompleted    = "completed"
	EventProgress     = "progress"
	EventTelemetry    = "telemetry"
	EventLog          = "log"
)

func phaseType(p Phase, event string) string { return string(p) + "." + event }

// Type implements [Event].
func (PipelineRequested) Type() string { return TypePipelineRequested }

// Subject implements [Event].
func (PipelineRequested) Subject() string { return TypePipelineRequested }

// Type implements [Event].
func (PipelineAccepted) Type() string { return TypePipelineAccepted }

// Subject implements [Event].
func (e PipelineAccepted) Subject() string { return TypePipelineAccepted + "." + e.RunID }

// Run implements [Fact].
func (e PipelineAccepted) Run() string { return e.RunID }

// Type implements [Event].
func (PipelineRejected) Type() string { return TypePipelineRejected }

// Subject implements [Event].
func (e PipelineRejected) Subject() string {
	return TypePipelineRejected + "." + strconv.FormatUint(e.RequestSequence, 10)
}

// Run implements [Fact]. It returns the sequence of the request, because there is no
// run.
func (e PipelineRejected) Run() string { return strconv.FormatUint(e.RequestSequence, 10) }

// Type implements [Event].
func (CancelRequested) Type() string { return TypeCancelRequested }

// Subject implements [Event].
func (e CancelRequested) Subject() string { return TypeCancelRequested + "." + e.RunID }

// Run implements [Fact].
func (e CancelRequested) Run() string { return e.RunID }

// Type implements [Event].
func (e PhaseRequested) Type() string { return phaseType(e.Phase, EventRequested) }

// Subject implements [Event].
func (e PhaseRequested) Subject() string { return e.Type() + "." + e.RunID + "." + e.Queue }

// Run implements [Fact].
func (e PhaseRequested) Run() string { return e.RunID }

// Type implements [Event].
func (e PhaseStarted) Type() string { return phaseType(e.Phase, EventStarted) }

// Subject implements [Event].
func (e PhaseStarted) Subject() string { return attemptSubject(e.Type(), e.RunID, e.Attempt) }

// Run implements [Fact].
func (e PhaseStarted) Run() string { return e.RunID }

// Type implements [Event].
func (e AttemptEnded) Type() string { return phaseType(e.Phase, EventAttemptEnded) }

// Subject implements [Event].
func (e AttemptEnded) Subject() string { return attemptSubject(e.Type(), e.RunID, e.Attempt) }

// Run implements [Fact].
func (e AttemptEnded) Run() string { return e.RunID }

// Type implements [Event].
func (e PhaseCompleted) Type() string { return phaseType(e.Phase, EventCompleted) }

// Subject implements [Event].
func (e PhaseCompleted) Subject() string { return e.Type() + "." + e.RunID }

// Run implements [Fact].
func (e PhaseCompleted) Run() string { return e.RunID }

// Type implements [Event].
func (PipelineCompleted) Type() string { return TypePipelineCompleted }

// Subject implements [Event].
func (e PipelineCompleted) Subject() string { return TypePipelineCompleted + "." + e.RunID }

// Run implements [Fact].
func (e PipelineCompleted) Run() string { return e.RunID }

// Type implements [Event].
func (TrackingCompleted) Type() string { return TypeTrackingCompleted }

// Subject implements [Event].
func (e TrackingCompleted) Subject() string { return TypeTrackingCompleted + "." + e.RunID }

// Run implements [Fact].
func (e TrackingCompleted) Run() string { return e.RunID }

// Type implements [Event].
func (PipelineDeleted) Type() string { return TypePipelineDeleted }

// Subject implements [Event].
func (e PipelineDeleted) Subject() string { return TypePipelineDeleted + "." + e.RunID }

// Run implements [Fact].
func (e PipelineDeleted) Run() string { return e.RunID }

// Type implements [Event].
func (e Progress) Type() string { return phaseType(e.Phase, EventProgress) }

// Subject implements [Event].
func (e Progress) Subject() string { return attemptSubject(e.Type(), e.RunID, e.Attempt) }

// Type implements [Event].
func (e Telemetry) Type() string { return phaseType(e.Phase, EventTelemetry) }

// Subject implements [Event].
func (e Telemetry) Subject() string { return attemptSubject(e.Type(), e.RunID, e.Attempt) }

// Type implements [Event].
func (e Log) Type() string { return phaseType(e.Phase, EventLog) }

// Subject implements [Event].
func (e Log) Subject() string { return attemptSubject(e.Type(), e.RunID, e.Attempt) }

func attemptSubject(typ, run string, attempt int) string {
	return typ + "." + run + "." + strconv.Itoa(attempt)
}

// RunFilters returns the two filters that together match all facts of a run.
func RunFilters(run string) []string { return []string{RunLevelFilter(run), "*.*." + run + ".*"} }

// RunLevelFilter returns the filter for the facts about a run or a phase as a whole,
// not about an attempt: acceptance, ends and a cancel request.
func RunLevelFilter(run string) string { return "*.*." + run }

// JobFilters returns the filters that together match the facts of a run that the
// worker of a job needs: a cancel request, the deletion of the run, the completion of
// the phases and the run, the attempts at this phase, and the accepted fact if the job does not repeat
// it.
func JobFilters(job PhaseRequested) []string {
	filters := []string{
		TypeCancelRequested + "." + job.RunID,
		TypePipelineDeleted + "." + job.RunID,
		"*." + EventCompleted + "." + job.RunID,
		StartedFilter(job.Phase, job.RunID),
		phaseType(job.Phase, EventAttemptEnded) + "." + job.RunID + ".*",
	}
	if _, ok := job.Origin(); !ok {
		filters = append(filters, TypePipelineAccepted+"."+job.RunID)
	}
	return filters
}

// OutcomeFilters returns the filters that together match the facts about a run as a whole
// except its acceptance: what became of it.
func OutcomeFilters(run string) []string {
	var filters []string
	for _, typ := range []string{TypeCancelRequested, TypePipelineCompleted, TypeTrackingCompleted, TypePipelineDeleted} {
		filters = append(filters, typ+"."+run)
	}
	return filters
}

// JobFilter returns the filter for the jobs of a phase and queue.
func JobFilter(p Phase, queue string) string { return phaseType(p, EventRequested) + ".*." + queue }

// StartedFilter returns the filter for the started events of a phase of a run. It is
// the subject filter of the fence of the job's owner. The server compares it as
// text, so all writers must use this function.
func StartedFilter(p Phase, run string) string {
	return phaseType(p, EventStarted) + "." + run + ".*"
}

// MetricFilters returns the filters for the metric events of all attempts at a phase
// of a run: progress and telemetry.
func MetricFilters(p Phase, run string) []string {
	return []string{phaseType(p, EventProgress) + "." + run + ".*", phaseType(p, EventTelemetry) + "." + run + ".*"}
}

// CompletedSubject returns the subject of the completed event of a phase of a run.
func CompletedSubject(p Phase, run string) string {
	return phaseType(p, EventCompleted) + "." + run
}

// FactSubjects returns the subjects of the stream of facts. They are listed for each
// event, because <phase>.> would overlap the stream of metrics.
func FactSubjects() []string {
	s := []string{
		TypePipelineAccepted + ".*", TypePipelineRejected + ".*", TypeCancelRequested + ".*",
		TypePipelineCompleted + ".*", TypeTrackingCompleted + ".*", TypePipelineDeleted + ".*",
		TypePublishedCompleted + ".*.*",
	}
	for _, p := range Phases() {
		s = append(s,
			phaseType(p, EventRequested)+".*.*", phaseType(p, EventStarted)+".*.*",
			phaseType(p, EventAttemptEnded)+".*.*", phaseType(p, EventCompleted)+".*")
	}
	return s
}

// TrackedSubjects returns the subjects of the facts that change the tracking of a
// run.
func TrackedSubjects() []string {
	s := []string{
		TypePipelineAccepted + ".*", TypeCancelRequested + ".*", TypePipelineCompleted + ".*", TypePipelineDeleted + ".*",
		TypePublishedCompleted + ".*.*",
	}
	for _, p := range Phases() {
		s = append(s, phaseType(p, EventStarted)+".*.*", phaseType(p, EventAttemptEnded)+".*.*", phaseType(p, EventCompleted)+".*")
	}
	return s
}

// MetricSubjects returns the subjects of the stream of metric points.
func MetricSubjects() []string {
	var s []string
	for _, p := range Phases() {
		s = append(s, phaseType(p, EventProgress)+".*.*", phaseType(p, EventTelemetry)+".*.*")
	}
	return s
}

// LogSubjects returns the subjects of the stream of logs.
func LogSubjects() []string {
	var s []string
	for _, p := range Phases() {
		s = append(s, phaseType(p, EventLog)+".*.*")
	}
	return s
}

// LogFilter returns the filter for the log of all attempts at a phase of a run; an
// empty phase stands for all phases.
func LogFilter(p Phase, run string) string {
	if p == "" {
		p = "*"
	}
	return phaseType(p, EventLog) + "." + run + ".*"
}

// Address is a parsed subject.
type Address struct {
	// Type is the wire name, the first two tokens.
	Type string
	// Run is the third token.
	Run string
	// Detail is the fourth token, an attempt or a queue; empty if there is none.
	Detail string
}

// ParseSubject parses the subject of an event of a run.
func ParseSubject(subject string) (Address, error) {
	stage, rest, _ := strings.Cut(subject, ".")
	event, rest, _ := strings.Cut(rest, ".")
	run, detail, hasDetail := strings.Cut(rest, ".")
	for i, token := range [...]string{stage, event, run, detail} {
		if i == 3 && !hasDetail {
			break
		}
		if !validSubjectToken(token) {
			return Address{}, fmt.Errorf("parse subject %q: want <stage>.<event>.<run>[.<detail>], each token of a–z, A–Z, 0–9, \"_\" and \"-\"", subject)
		}
	}
	return Address{Type: subject[:len(stage)+1+len(event)], Run: run, Detail: detail}, nil
}

// ValidToken reports whether s may be a run id or a queue name: 1 to 64 of
// a–z, A–Z, 0–9, "_" and "-".
func ValidToken(s string) bool { return len(s) <= 64 && validSubjectToken(s) }

// ReservedRunIDs says which run ids a request cannot ask for.
const ReservedRunIDs = `a run id does not begin with "-", and "last" means the run that was accepted last`

// ReservedRunID reports whether a run id would mean something else on a command line.
func ReservedRunID(s string) bool { return s == "last" || strings.HasPrefix(s, "-") }

func validSubjectToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}
