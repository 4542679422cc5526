package history

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// RunHistory is everything that the stream of facts holds of a run.
type RunHistory struct {
	// Facts are in the stream's order.
	Facts []StoredFact
	// Last is the sequence of the newest message; 0 if there is none.
	Last uint64
}

// StoredFact is a fact and its bytes.
type StoredFact struct {
	codec.Message
	// Body is the whole CloudEvent, or whatever else is stored.
	Body []byte
}

// Run folds the facts that can be decoded. The error is an [*UnreadableError]
// if some cannot.
func (r RunHistory) Run() (events.Run, error) {
	msgs := make([]codec.Message, 0, len(r.Facts))
	for _, f := range r.Facts {
		msgs = append(msgs, f.Message)
	}
	return Fold(msgs), Unreadable(msgs)
}

// RunHistory reads everything that the stream holds of a run, also facts that
// cannot be decoded.
func (h *History) RunHistory(ctx context.Context, run string) (RunHistory, error) {
	raw, err := h.raw(ctx, run, events.RunFilters(run))
	if err != nil {
		return RunHistory{}, err
	}
	var r RunHistory
	for _, m := range raw {
		r.Last = max(r.Last, m.Sequence)
		if events.IsRedrive(m.Subject) {
			continue // belongs to the run, and holds nothing new about it
		}
		r.Facts = append(r.Facts, StoredFact{Message: h.Fact(m), Body: m.Data})
	}
	return r, nil
}

// DecodeFact decodes the body of a fact that was stored on a subject, and its
// id, without a connection.
func DecodeFact(subject string, body []byte) codec.Message {
	m := codec.New("").DecodeFact(subject, codec.StructuredHeader(), body)
	m.Stream = events.StreamFacts
	return m
}
