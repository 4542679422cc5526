// Package exit holds the exit statuses of the program, and errors that carry
// one.
//
// A command returns an error; [CodeOf] alone turns it into an exit status, and
// [Message] into what the screen shows of it. An error without a status of its
// own is a [CodeError], faults in what a person wrote and runs that were deleted
// are a [CodeInput]. A
// silent error has a status and no message: the result on the screen has said
// everything.
//
//	return exit.Input(fmt.Errorf("--from %s: no such phase", from))
//	return exit.Silent(exit.CodeFailure)
package exit

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Code is an exit status. The statuses are part of the program's interface.
type Code int

// The exit statuses.
const (
	CodeOK        Code = 0
	CodeError     Code = 1
	CodeInput     Code = 2 // bad input, or a rejected request
	CodeFailure   Code = 3 // the run failed
	CodePartial   Code = 4 // a gate was missed, or a phase failed while the run went on
	CodeCancelled Code = 5
	CodeTimeout   Code = 6 // the time for a wait ran out
	CodeLeft      Code = 7 // runs were deleted, and something of them is left
	// CodeInterrupted is what shells report of a program that Ctrl-C ended,
	// CodeTerminated of one that was asked to end (SIGTERM), and CodeHungUp of one
	// whose terminal was closed (SIGHUP).
	CodeHungUp      Code = 129
	CodeInterrupted Code = 130
	CodeTerminated  Code = 143
)

// Error is an error with an exit status.
type Error struct {
	Code Code
	// Err is the cause; nil where Silent is true.
	Err error
	// Silent is set if the screen shows no message.
	Silent bool
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "the command ended without success"
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Input marks an error as bad input.
func Input(err error) error { return &Error{Code: CodeInput, Err: err} }

// Timeout marks an error as the end of a wait.
func Timeout(err error) error { return &Error{Code: CodeTimeout, Err: err} }

// ErrInterrupted is the message of a command that a signal ended, and that has
// nothing to say about it.
var ErrInterrupted = errors.New("interrupted")

// Interrupted is what a command's error becomes if a signal came meanwhile. A
// command that had its result before, or that found what a person has to mend, has
// its own status. What failed only because the command was ended is not shown.
func Interrupted(err error, by os.Signal) error {
	if err == nil {
		return nil
	}
	code := OfSignal(by)
	e, ok := errors.AsType[*Error](err)
	ended := errors.Is(err, context.Canceled)
	switch {
	case ok && e.Code == CodeInterrupted:
		return &Error{Code: code, Err: e.Err, Silent: e.Silent}
	case ok && (e.Silent || !ended && e.Code != CodeError):
		return err
	case ended:
		err = errors.Join(append([]error{ErrInterrupted}, others(err)...)...)
	}
	return &Error{Code: code, Err: err}
}

// OfSignal is the exit status of a command that a signal ended.
func OfSignal(by os.Signal) Code {
	switch by {
	case syscall.SIGTERM:
		return CodeTerminated
	case syscall.SIGHUP:
		return CodeHungUp
	}
	return CodeInterrupted
}

// others are the errors that were joined with one of a context's end.
func others(err error) (out []error) {
	joined, ok := err.(interface{ Unwrap() []error }) // what was joined at the top
	if !ok {
		return nil
	}
	for _, one := range joined.Unwrap() {
		if !errors.Is(one, context.Canceled) {
			out = append(out, one)
		}
	}
	return out
}

// Silent is an error that has a status and no message.
func Silent(code Code) error { return &Error{Code: code, Silent: true} }

// Join adds the error of a clean-up to the error of a command. The command's
// status stays, and so does the message of both; that of a silent error is the
// clean-up's alone.
func Join(err, cleanup error) error {
	e, ok := errors.AsType[*Error](err)
	if cleanup != nil && ok && e.Silent {
		return &Error{Code: e.Code, Err: cleanup}
	}
	return errors.Join(err, cleanup)
}

// CodeOf is the exit status that an error asks for.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	_, faults := errors.AsType[structconf.Faults](err)
	_, deleted := errors.AsType[*runwatch.DeletedError](err)
	unreachable, isUnreachable := errors.AsType[*conn.UnreachableError](err)
	if faults || deleted || isUnreachable && unreachable.NoContext || errors.Is(err, embedded.ErrInUse) || errors.Is(err, embedded.ErrPort) {
		return CodeInput
	}
	return CodeError
}

// Message is what the screen shows of an error; empty for none.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); err == nil || ok && e.Silent {
		return ""
	}
	return err.Error()
}
