package engine

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// Stage is what an engine does at the moment. The settings limit how long a job
// may be in a stage without any progress.
type Stage = progress.Stage

// The stages that an engine names with [Job.Stage].
const (
	StageLoad     = progress.Load
	StageTokenise = progress.Tokenise
	StageTrain    = progress.Train
	StageGenerate = progress.Generate
	StageScore    = progress.Score
	StageSave     = progress.Save
)

// Stage says what the engine does from now on. Until its first call a job
// trains, generates or scores. The methods that fetch, upload, or save a
// checkpoint are in stages of their own; the stage before goes on after them.
func (j *Job) Stage(s Stage) { j.monitor.SetStage(s) }

// Advance counts n rows or tokens that the engine got done in its stage. Steps
// are counted by [Job.Progress], and bytes by the methods that move them.
func (j *Job) Advance(n int) { j.monitor.Advance(int64(n)) }

// Waiting announces that the work of the context that [Engine.Run] got waits
// for something else, such as "the rate limit of the judge", for so long at
// most. Meanwhile the limit of the stage does not count. done ends the wait.
func Waiting(ctx context.Context, waitsFor string, limit time.Duration) (done func()) {
	return progress.Wait(ctx, waitsFor, limit).End
}
