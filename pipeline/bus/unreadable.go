package bus

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// UnreadableError names the facts of a run that are stored and cannot be read
// here: each is malformed, or of a version that this program does not know.
type UnreadableError struct{ Facts []UnreadableFact }

// UnreadableFact is one of them.
type UnreadableFact struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"`
	Why      string `json:"why"`

	cause error
}

func (f UnreadableFact) String() string {
	return fmt.Sprintf("fact %s at sequence %d cannot be read: %s", f.Subject, f.Sequence, f.Why)
}

func (e *UnreadableError) Error() string {
	all := make([]string, len(e.Facts))
	for i, f := range e.Facts {
		all[i] = f.String()
	}
	return strings.Join(all, "; ")
}

// Unwrap returns the causes.
func (e *UnreadableError) Unwrap() []error {
	all := make([]error, len(e.Facts))
	for i, f := range e.Facts {
		all[i] = f.cause
	}
	return all
}

// Unreadable is an [*UnreadableError] about those of some facts that cannot be
// read, or nil.
func Unreadable(msgs []Message) error {
	var bad []UnreadableFact
	for _, m := range msgs {
		if m.Unreadable != nil {
			bad = append(bad, UnreadableFact{Subject: m.Subject, Sequence: m.Sequence, Why: m.Unreadable.Error(), cause: m.Unreadable})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &UnreadableError{Facts: bad}
}

// fact reads a fact of a run. One that cannot be read hides none of the
// others.
func (b *Bus) fact(e entry) Message {
	m, err := b.read(e)
	return asFact(m, err)
}

// asFact is what was read as a fact of its subject. err is why it was not.
func asFact(m Message, err error) Message {
	f, ok := m.Event.(events.Fact)
	switch {
	case err != nil:
	case !ok:
		err = &events.MalformedError{Type: typeOf(m.Subject), Err: fmt.Errorf("it is no fact")}
	case f.Subject() != m.Subject:
		err = &events.MalformedError{Type: typeOf(m.Subject), Err: fmt.Errorf("the event is the fact %s", f.Subject())}
	}
	if err != nil {
		m.Event, m.Unreadable = nil, err
	}
	return m
}
