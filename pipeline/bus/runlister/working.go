package runlister

import (
	"context"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// JobQueue is a queue of jobs of a phase.
type JobQueue struct {
	Phase events.Phase
	Name  string
}

// Working counts the jobs of open runs by their queues on which an attempt works: the
// newest one has started and not ended. The attempt of a worker that was killed counts
// until the next one starts.
func (l *Lister) Working(ctx context.Context) (map[JobQueue]int, error) {
	ids, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	open := map[string]bool{}
	for _, id := range ids {
		open[id] = true
	}
	working := map[JobQueue]int{}
	for _, p := range events.Phases() {
		subjects, err := l.subjects(ctx, string(p)+".>")
		if err != nil {
			return nil, err
		}
		for run, j := range jobsOf(p, subjects) {
			if open[run] && j.started > j.ended && !j.completed {
				working[JobQueue{p, j.queue}]++
			}
		}
	}
	return working, nil
}

// job is what the subjects of the facts of a phase say about its job.
type job struct {
	queue string
	// started and ended are the highest numbers of attempts that did so.
	started, ended int
	completed      bool
}

// jobsOf returns the jobs of a phase by run.
func jobsOf(p events.Phase, subjects map[string]uint64) map[string]*job {
	jobs := map[string]*job{}
	for subject := range subjects {
		a, err := events.ParseSubject(subject)
		if err != nil {
			continue
		}
		j := jobs[a.Run]
		if j == nil {
			j = &job{}
			jobs[a.Run] = j
		}
		number, _ := strconv.Atoi(a.Detail) // 0 without an attempt
		switch strings.TrimPrefix(a.Type, string(p)+".") {
		case events.EventRequested:
			j.queue = a.Detail
		case events.EventStarted:
			j.started = max(j.started, number)
		case events.EventAttemptEnded:
			j.ended = max(j.ended, number)
		case events.EventCompleted:
			j.completed = true
		}
	}
	return jobs
}
