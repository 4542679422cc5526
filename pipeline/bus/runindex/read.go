package runindex

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

const (
	// runsPerRequest is how many runs are read with one request. Each has five facts
	// about the whole run at most, so that both bounds of [streams.Reader.LatestOfEach]
	// hold.
	runsPerRequest = 64
	// stretchBytes bounds the facts that an update holds at the same time.
	stretchBytes = 8 << 20
)

// runReader sums up runs from their facts.
type runReader struct {
	history *history.History
	stored  streams.Reader
}

// touched is a run of which a fact is known.
type touched struct {
	run    string
	newest uint64 // sequence of the newest fact that is known; 0: none is
}

// line reads all facts of a run, at least up to the one that is known. ok is false if
// they make no run.
func (r runReader) line(ctx context.Context, t touched) (line Line, ok bool, err error) {
	facts, err := r.history.FactsThrough(ctx, t.run, t.newest)
	if err != nil {
		return Line{}, false, err
	}
	line, ok = LineOf(facts)
	return line, ok, nil
}

// lineSoon is line for a person, who had rather wait for up to two seconds than be told that
// a copy of the stream lags behind.
func (r runReader) lineSoon(ctx context.Context, t touched) (line Line, ok bool, err error) {
	const tries, pause = 20, 100 * time.Millisecond
	for try := 1; ; try++ {
		if line, ok, err = r.line(ctx, t); try == tries || !errors.Is(err, streams.ErrBehind) {
			return line, ok, err
		}
		select {
		case <-ctx.Done():
			return Line{}, false, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// lines reads runs that have ended, most of them at least, many with one request. It
// takes their accepted facts from accepted if they are there. Gone are the runs that
// there are not.
func (r runReader) lines(ctx context.Context, runs []touched, accepted map[string]codec.Message) (lines []Line, gone map[string]bool, err error) {
	gone = map[string]bool{}
	for some := range slices.Chunk(runs, runsPerRequest) {
		facts, err := r.outcomes(ctx, some, accepted)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range some {
			line, ok := successOf(facts[t.run])
			if !ok || line.Newest < t.newest {
				if line, ok, err = r.line(ctx, t); err != nil {
					return nil, nil, err
				}
			}
			if ok {
				lines = append(lines, line)
			} else {
				gone[t.run] = true
			}
		}
	}
	return lines, gone, nil
}

// successOf sums up a run that succeeded, from the facts about the whole run: its end
// repeats the results of the phases. ok is false if the other facts may tell more: of a
// phase that failed, which attempts workers made, and of a fact that cannot be read, which
// the tracker notes as a gap, what is wrong with it.
func successOf(msgs []codec.Message) (line Line, ok bool) {
	run := history.Fold(msgs)
	if run.Accepted == nil || run.Completed == nil || run.Completed.Conclusion != events.Success ||
		len(run.Completed.FailedPhases) > 0 || run.Tracked != nil && len(run.Tracked.Gaps) > 0 || history.Unreadable(msgs) != nil {
		return Line{}, false
	}
	for _, p := range run.Completed.Phases {
		result := events.PhaseCompleted{RunID: run.ID, Phase: p.Phase, Attempt: p.Attempts, Conclusion: p.Conclusion, Error: p.Error}
		if p.Phase == events.Evaluation {
			result.Scores = run.Completed.Scores
		}
		run = run.With(result)
	}
	for _, step := range run.Accepted.Plan {
		if run.Phases[step.Phase] == nil {
			return Line{}, false
		}
	}
	return lineOf(run, msgs)
}

// outcomes reads the facts about whole runs. Those of the phases are many, and the end of
// a run repeats what a line has of them.
func (r runReader) outcomes(ctx context.Context, runs []touched, accepted map[string]codec.Message) (map[string][]codec.Message, error) {
	facts := map[string][]codec.Message{}
	var filters []string
	for _, t := range runs {
		run := t.run
		filters = append(filters, events.OutcomeFilters(run)...)
		if m, ok := accepted[run]; ok {
			facts[run] = append(facts[run], m)
		} else {
			filters = append(filters, events.PipelineAccepted{RunID: run}.Subject())
		}
	}
	msgs, err := r.history.LatestOfEach(ctx, filters)
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		if a, err := events.ParseSubject(m.Subject); err == nil {
			facts[a.Run] = append(facts[a.Run], m)
		}
	}
	for _, of := range facts {
		sortFacts(of)
	}
	return facts, nil
}

// stretch is what a part of the stream of facts tells.
type stretch struct {
	// last is the sequence up to which it was read.
	last uint64
	// lines are those of the runs that were accepted in the part, so that all of their
	// facts are in it.
	lines []Line
	// ended are runs that were accepted before and that ended in the part, open are the
	// others with a fact in it.
	ended, open []touched
}

// stretch reads the facts between two sequences, both included, or the first of them:
// there may be many, or a copy of the stream answers that lags behind.
func (r runReader) stretch(ctx context.Context, first, last uint64) (stretch, error) {
	s := stretch{last: last}
	facts := map[string][]streams.Message{}
	bytes, seen := 0, first-1
	err := r.stored.Scan(ctx, events.StreamFacts, streams.FromSequence(first), ">", func(m streams.Message) error {
		if m.Sequence > last {
			return errEnough
		}
		if bytes += len(m.Data); bytes > stretchBytes && m.Sequence > first {
			s.last = m.Sequence - 1
			return errEnough
		}
		seen = m.Sequence
		if a, err := events.ParseSubject(m.OriginalSubject()); err == nil && a.Type != events.TypePipelineRejected {
			facts[a.Run] = append(facts[a.Run], m)
		}
		return nil
	})
	if err == nil { // the scan came to the end of the copy that answered
		if err = r.stored.CheckThrough(ctx, events.StreamFacts, seen, last, ">"); errors.Is(err, streams.ErrBehind) && seen >= first {
			s.last, err = seen, nil
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		return stretch{}, err
	}
	for run, raw := range facts {
		known := touched{run: run}
		for _, m := range raw {
			if !events.IsRedrive(m.Subject) { // a redriven copy is no fact of the run
				known.newest = m.Sequence
			}
		}
		has := func(subject string) bool {
			return slices.ContainsFunc(raw, func(m streams.Message) bool { return m.Subject == subject })
		}
		switch {
		case has(events.PipelineAccepted{RunID: run}.Subject()):
			if line, ok := LineOf(r.decode(raw)); ok {
				s.lines = append(s.lines, line)
			} else {
				s.open = append(s.open, known)
			}
		case has(events.PipelineCompleted{RunID: run}.Subject()):
			s.ended = append(s.ended, known)
		default:
			s.open = append(s.open, known)
		}
	}
	return s, nil
}

// decode decodes the facts of a run. A redriven copy holds nothing new about it.
func (r runReader) decode(raw []streams.Message) []codec.Message {
	msgs := make([]codec.Message, 0, len(raw))
	for _, m := range raw {
		if !events.IsRedrive(m.Subject) {
			msgs = append(msgs, r.history.Fact(m))
		}
	}
	return msgs
}

func sortFacts(msgs []codec.Message) {
	slices.SortFunc(msgs, func(a, b codec.Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
}
