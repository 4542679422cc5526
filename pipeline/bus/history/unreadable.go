package history

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// UnreadableError names the stored facts of a run that cannot be decoded here:
// each is malformed, or of a version that this program does not know.
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

// Unreadable is an [*UnreadableError] about the facts that cannot be decoded, or
// nil if all can.
func Unreadable(msgs []codec.Message) error {
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
