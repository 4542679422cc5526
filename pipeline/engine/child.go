package engine

import "time"

// What an engine needs that has a program of its own do the work.

// SaveTime is how long a last checkpoint may take after a shutdown, see
// [Job.Saving].
func SaveTime(j *Job) time.Duration { return j.saveTime }

// IsKept reports whether the checkpoint of a step is stored and registered, so that a
// later attempt would go on from it. [Job.Checkpoint] does not fail where it is not.
func IsKept(j *Job, step int64) bool { return j.runtime.IsKept(step) }

// WriteLog writes a line into the log of the run. level is "stdout", "stderr" or
// "info". It never blocks, and returns the line as it was written: without secrets, and
// cut if it was too long.
func WriteLog(j *Job, level, text string) string { return j.runtime.WriteLog(level, text) }
