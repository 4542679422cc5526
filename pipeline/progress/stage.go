package progress

import (
	"fmt"
	"time"
)

// Stage is what a job does at the moment.
type Stage string

// The stages of the work.
const (
	// Fetch reads models, data sets and checkpoints out of a store or the Hub.
	Fetch Stage = "fetch"
	// Load opens a model.
	Load Stage = "load"
	// Tokenise reads and encodes rows.
	Tokenise Stage = "tokenise"
	// Train, Generate and Score are the work itself.
	Train    Stage = "train"
	Generate Stage = "generate"
	Score    Stage = "score"
	// FirstStep is the work until its first step, which takes longer than the
	// others where a model is compiled. No job names it: the monitor does, where
	// it has a limit of its own.
	FirstStep Stage = "first_step"
	// Save writes and stores a checkpoint, or writes a result.
	Save Stage = "save"
	// Upload stores a result.
	Upload Stage = "upload"
)

// The stages of a job before and after its work. Their limit is that of [Save].
const (
	Claim  Stage = "claim"
	Finish Stage = "finish"
)

// Limits say how long a job may be in a stage without getting anything done. A
// stage that is missing, or has the limit 0, has no limit.
type Limits map[Stage]time.Duration

// of returns the limit of a stage, and under which name it is set.
func (l Limits) of(s Stage) (key Stage, limit time.Duration) {
	if s == Claim || s == Finish {
		s = Save
	}
	return s, l[s]
}

// Stall is a stage, or a wait, that took too long without any progress. As an
// error it is the cause with which the context of the work ends.
type Stall struct {
	Stage Stage
	// Key is the name under which the limit of the stage is set; empty for a
	// wait.
	Key Stage
	// WaitsFor is what the job waited for; empty if it announced no wait.
	WaitsFor string
	// Doing is what the job did, see [Doing]; empty if it named nothing.
	Doing string
	Limit time.Duration
	// Idle is how long nothing was counted.
	Idle time.Duration
	// Late is true if the work was over already, see [Monitor.Retire].
	Late bool
}

func (s *Stall) Error() string {
	if s.WaitsFor != "" {
		return fmt.Sprintf("it waited longer than %s for %s", s.Limit, s.WaitsFor)
	}
	text := fmt.Sprintf("it made no progress in the stage %s for %s", s.Stage, s.Limit)
	if s.Doing != "" {
		text += " while " + s.Doing
	}
	return text
}
