package runlister

import (
	"context"
	"slices"

	"github.com/tunebus/tunebus/events"
)

// OpenJobs counts the jobs that somebody has yet to complete, of runs that have not ended, by
// phase and queue. A job that is in a queue and not counted here is of a run that has ended.
func OpenJobs(ctx context.Context, l *Lister) (map[events.Step]int, error) {
	var jobs []events.Address
	for _, p := range events.Phases() {
		requested, err := l.subjects(ctx, events.JobFilter(p, "*"))
		if err != nil {
			return nil, err
		}
		completed, err := l.withFact(ctx, events.PhaseCompleted{Phase: p}.Type())
		if err != nil {
			return nil, err
		}
		for subject := range requested {
			a, err := events.ParseSubject(subject)
			if err != nil {
				continue
			}
			if _, done := slices.BinarySearch(completed, a.Run); !done {
				a.Type = string(p)
				jobs = append(jobs, a)
			}
		}
	}
	ended := map[string]bool{}
	for _, typ := range []string{events.TypePipelineCompleted, events.TypePipelineDeleted} {
		runs, err := l.withFact(ctx, typ)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			ended[run] = true
		}
	}
	count := map[events.Step]int{}
	for _, job := range jobs {
		if !ended[job.Run] {
			count[events.Step{Phase: events.Phase(job.Type), Queue: job.Detail}]++
		}
	}
	return count, nil
}
