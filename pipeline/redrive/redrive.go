// Package redrive selects many dead letters and redrives or discards them. To
// redrive a letter gives its message back to the consumer that gave it up.
//
// [Plan] reads which letters a [Selection] means and changes nothing; a
// selection that names a letter that does not exist is refused as a whole, by
// a [MissingError]. [Run] and [Discard] go through a plan letter by letter.
// A letter that fails keeps none of the others back.
//
//	plan, err := redrive.Plan(ctx, letters, redrive.Selection{All: true, Filter: redrive.Filter{Run: "01J9Z5Q6T3"}})
//	...
//	results, err := redrive.Run(ctx, letters, plan)
package redrive

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
)

// Reader reads dead letters.
type Reader interface {
	// List calls each for every dead letter, the oldest first.
	List(ctx context.Context, each func(deadletter.Letter) error) error
	// Get reads one dead letter, or fails with [deadletter.ErrNotFound].
	Get(ctx context.Context, sequence uint64) (deadletter.Letter, error)
}

// Redriver gives dead letters back.
type Redriver interface {
	// Get reads one dead letter, or fails with [deadletter.ErrNotFound].
	Get(ctx context.Context, sequence uint64) (deadletter.Letter, error)
	// Redrive publishes a letter's message again and removes the letter.
	Redrive(ctx context.Context, l deadletter.Letter) (codec.Message, error)
}

// Discarder removes dead letters.
type Discarder interface {
	Discard(ctx context.Context, sequence uint64) error
}

// Filter chooses dead letters. What is empty chooses all.
type Filter struct {
	// Run is the letter's run.
	Run string
	// Subject is a NATS filter of the subject that the message was stored on.
	Subject string
	// Reason is a part of the letter's reason.
	Reason string
}

// Matches reports whether the filter chooses a letter.
func (f Filter) Matches(l deadletter.Letter) bool {
	return (f.Run == "" || l.Run == f.Run) &&
		(f.Subject == "" || subjectMatches(f.Subject, l.Subject)) &&
		strings.Contains(l.Reason, f.Reason)
}

// subjectMatches reports whether a subject matches a NATS filter.
func subjectMatches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(f) == len(s)
}

// Selection selects dead letters: some by their sequence, or all
// that a filter chooses.
type Selection struct {
	Sequences []uint64
	// All chooses by Filter, not by Sequences.
	All    bool
	Filter Filter
}

// MissingError is the error for a sequence without a dead letter.
type MissingError struct{ Sequence uint64 }

func (e *MissingError) Error() string { return fmt.Sprintf("there is no dead letter %d", e.Sequence) }

// Read reads one dead letter. The error is a [*MissingError] if there is none.
func Read(ctx context.Context, from Reader, sequence uint64) (deadletter.Letter, error) {
	l, err := from.Get(ctx, sequence)
	if errors.Is(err, deadletter.ErrNotFound) {
		err = &MissingError{Sequence: sequence}
	}
	return l, err
}

// List reads the dead letters that a filter chooses, the oldest first.
func List(ctx context.Context, from Reader, f Filter) ([]deadletter.Letter, error) {
	var out []deadletter.Letter
	err := from.List(ctx, func(l deadletter.Letter) error {
		if f.Matches(l) {
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// Plan reads the sequences of the selected letters. Letters that are stored
// after that are not among them.
func Plan(ctx context.Context, from Reader, s Selection) ([]uint64, error) {
	if !s.All {
		for _, n := range s.Sequences {
			if _, err := Read(ctx, from, n); err != nil {
				return nil, err
			}
		}
		return s.Sequences, nil
	}
	letters, err := List(ctx, from, s.Filter)
	var plan []uint64
	for _, l := range letters {
		plan = append(plan, l.Sequence)
	}
	return plan, err
}

// Result is what became of one letter. Its JSON is part of the interface of
// commands.
type Result struct {
	Letter uint64 `json:"letter"`
	// Stream, Sequence and Subject say where the message is stored now.
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Run redrives the letters of a plan. The error joins those of the letters.
func Run(ctx context.Context, through Redriver, plan []uint64) ([]Result, error) {
	results := []Result{}
	var failed error
	for _, n := range plan {
		r := Result{Letter: n}
		m, err := one(ctx, through, n)
		if err != nil {
			r.Error = err.Error()
			failed = errors.Join(failed, err)
		}
		if m.Sequence > 0 {
			r.Stream, r.Sequence, r.Subject = m.Stream, m.Sequence, m.Subject
		}
		results = append(results, r)
	}
	return results, failed
}

func one(ctx context.Context, through Redriver, n uint64) (codec.Message, error) {
	l, err := through.Get(ctx, n)
	if err != nil {
		return codec.Message{}, err
	}
	return through.Redrive(ctx, l)
}

// Discard removes the letters of a plan, and returns those that are gone. The
// error joins those of the others.
func Discard(ctx context.Context, from Discarder, plan []uint64) ([]uint64, error) {
	gone := []uint64{}
	var failed error
	for _, n := range plan {
		if err := from.Discard(ctx, n); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		gone = append(gone, n)
	}
	return gone, failed
}
