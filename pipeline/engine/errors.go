package engine

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// ErrShutdown is the cause with which the context of a job ends when the
// process stops. Another worker then resumes the job.
var ErrShutdown = errors.New("the worker shuts down")

// JobError is an error with a code for programs. A permanent one is not
// retried.
type JobError struct {
	// Code is a stable, lower-case word, such as "bad_dataset". It travels in
	// events.
	Code      string
	Permanent bool
	Err       error
}

func (e *JobError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *JobError) Unwrap() error { return e.Err }

// Permanent marks an error that every attempt would meet, such as a missing
// column. code is a stable, lower-case word. The end of a context is not
// marked: the worker knows the reason, the engine does not.
func Permanent(code string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &JobError{Code: code, Permanent: true, Err: err}
}

// Problem is an error as it travels in an event; nil without one.
func Problem(err error) *events.Problem {
	if err == nil {
		return nil
	}
	p := &events.Problem{Code: "error", Message: redaction.Addresses(err.Error())}
	if e, ok := errors.AsType[*JobError](err); ok && e.Code != "" {
		p.Code = e.Code
	}
	p.Message = events.Cut(p.Message, events.MaxErrorBytes) // the error may quote a large file
	return p
}
