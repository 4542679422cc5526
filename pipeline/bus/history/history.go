package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// ErrNotFound means that no message is stored on a subject.
var ErrNotFound = streams.ErrNotFound

// ErrBehind means that a copy of the stream answered that lags behind its leader.
var ErrBehind = streams.ErrBehind

// History reads runs. It is safe for concurrent use.
type History struct {
	conn   *conn.Conn
	codec  *codec.Codec
	stored streams.Reader
}

// New returns a history on a connection.
func New(c *conn.Conn) *History {
	return &History{conn: c, codec: c.Codec(), stored: streams.New(c)}
}

// Facts reads every fact of a run, in the stream's order; none of a run that
// does not exist.
func (h *History) Facts(ctx context.Context, run string) ([]codec.Message, error) {
	return h.facts(ctx, run, events.RunFilters(run))
}

// FactsThrough is [History.Facts] for who knows that a fact of the run is stored at a
// sequence. The error is [ErrBehind] if the answer lacks it because a copy of the
// stream answered that lags behind. A fact that was removed meanwhile may be missing, and a
// redriven copy is none.
func (h *History) FactsThrough(ctx context.Context, run string, sequence uint64) ([]codec.Message, error) {
	msgs, err := h.Facts(ctx, run)
	if err != nil {
		return nil, err
	}
	if newest := newestOf(msgs); newest < sequence {
		known, err := h.stored.Get(ctx, events.StreamFacts, sequence)
		if err == nil && !events.IsRedrive(known.Subject) {
			err = ErrBehind
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("read run %s: %w", run, err)
		}
	}
	return msgs, nil
}

// newestOf is the sequence of the last message; 0 without one.
func newestOf(msgs []codec.Message) uint64 {
	if len(msgs) == 0 {
		return 0
	}
	return msgs[len(msgs)-1].Sequence
}

// Run reads and folds the facts of a run. Beside an [*UnreadableError] it
// returns the readable part.
func (h *History) Run(ctx context.Context, run string) (events.Run, error) {
	msgs, err := h.Facts(ctx, run)
	if err != nil {
		return events.Run{}, err
	}
	return Fold(msgs), Unreadable(msgs)
}

// RunForJob reads and folds the part of a run that a worker needs for a job of
// it: not the jobs themselves, of other phases only the completion; the job
// itself tells what was accepted. The errors are those of [History.Run].
func (h *History) RunForJob(ctx context.Context, job events.PhaseRequested) (events.Run, error) {
	msgs, err := h.facts(ctx, job.RunID, events.JobFilters(job))
	if err != nil {
		return events.Run{}, err
	}
	run := Fold(msgs)
	if accepted, ok := job.Origin(); ok {
		run.ID, run.Accepted = job.RunID, &accepted
	}
	return run, Unreadable(msgs)
}

// Latest asks the leader of the stream of facts for the newest message on a
// subject, which may be a filter. The error is [ErrNotFound] if there is none.
func (h *History) Latest(ctx context.Context, subject string) (codec.Message, error) {
	raw, err := h.stored.Latest(ctx, events.StreamFacts, subject)
	if err != nil {
		return codec.Message{}, fmt.Errorf("read %s: %w", subject, err)
	}
	d, err := h.codec.Decode(raw.OriginalSubject(), raw.Header, raw.Data)
	m := placed(raw, codec.Message{ID: raw.ID(), Subject: raw.OriginalSubject(), Event: d.Event})
	if err != nil {
		return m, fmt.Errorf("read %s: %w", subject, err)
	}
	return m, nil
}

// ErrNotSetUp means that the server has no stream of facts.
var ErrNotSetUp = streams.ErrNoStream

// CheckSetUp looks whether the server has the stream of facts. The error is
// [ErrNotSetUp] if it says that there is none, and another one if it does not say.
func CheckSetUp(ctx context.Context, c *conn.Conn) error {
	_, err := streams.New(c).Latest(ctx, events.StreamFacts, events.PipelineAccepted{RunID: "-"}.Subject())
	if errors.Is(err, streams.ErrNotFound) {
		return nil
	}
	return err
}

// LatestOfEach reads the newest fact of each subject that matches one of the
// filters, in no order. The event of a fact that cannot be decoded is nil. It
// fails if there are more than 1,024 facts, or more bytes than one reply holds.
func (h *History) LatestOfEach(ctx context.Context, filters []string) ([]codec.Message, error) {
	raw, err := h.stored.LatestOfEach(ctx, events.StreamFacts, filters)
	if err != nil {
		return nil, err
	}
	msgs := make([]codec.Message, 0, len(raw))
	for _, m := range raw {
		msgs = append(msgs, h.Fact(m))
	}
	return msgs, nil
}

// Fold folds stored facts into the state of their run.
func Fold(msgs []codec.Message) events.Run {
	facts := make([]events.Fact, 0, len(msgs))
	for _, m := range msgs {
		if f, ok := m.Event.(events.Fact); ok {
			facts = append(facts, f)
		}
	}
	return events.Fold(facts)
}

func (h *History) facts(ctx context.Context, run string, filters []string) ([]codec.Message, error) {
	raw, err := h.raw(ctx, run, filters)
	if err != nil {
		return nil, err
	}
	msgs := make([]codec.Message, 0, len(raw))
	for _, m := range raw {
		if events.IsRedrive(m.Subject) {
			continue // a redriven copy holds nothing new about the run
		}
		msgs = append(msgs, h.Fact(m))
	}
	return msgs, nil
}

// raw reads the messages of a run that match the filters, in the stream's
// order.
func (h *History) raw(ctx context.Context, run string, filters []string) ([]streams.Message, error) {
	if !events.ValidToken(run) {
		return nil, fmt.Errorf("read run %q: a run id has 1 to 64 letters, digits, \"_\" and \"-\"", run)
	}
	msgs, err := h.stored.LatestOfEach(ctx, events.StreamFacts, filters)
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", run, err)
	}
	slices.SortFunc(msgs, func(a, b streams.Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return msgs, nil
}

// Fact decodes a stored fact. One that cannot be decoded does not hide the others.
func (h *History) Fact(raw streams.Message) codec.Message {
	m := h.codec.DecodeFact(raw.OriginalSubject(), raw.Header, raw.Data)
	m.ID = raw.ID()
	return placed(raw, m)
}

// placed adds where a message lies.
func placed(raw streams.Message, m codec.Message) codec.Message {
	m.Stream, m.Sequence, m.Time = raw.Stream, raw.Sequence, raw.Time
	return m
}
