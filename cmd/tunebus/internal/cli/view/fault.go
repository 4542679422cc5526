package view

import (
	"encoding/json"
	"errors"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// failure is why a command ended without a result, for scripts.
type failure struct {
	// Faults are a [structconf.Fault] for each fault in what a person wrote, and
	// a [said] for anything else.
	Faults     []any `json:"faults"`
	ExitStatus int   `json:"exit_status"`
}

// said is a fault that belongs to no key.
type said struct {
	Message string `json:"message"`
}

// PrintFailure prints why a command ends without a result, and with which exit status,
// as a line of JSON for scripts, and reports whether it did. It does nothing without
// --json, and where the result was printed before. On one line, since some commands
// write a line of JSON for each of their results.
func PrintFailure(c *Console, err error, status int) bool {
	if !c.JSON || c.printed {
		return false
	}
	f := failure{Faults: faultsOf(c, err), ExitStatus: status}
	return json.NewEncoder(c.out).Encode(f) == nil
}

// faultsOf parts an error into its faults.
func faultsOf(c *Console, err error) (out []any) {
	if e, ok := errors.AsType[*exit.Error](err); ok && e.Err != nil && err.Error() == e.Err.Error() { // around the whole of it
		return faultsOf(c, e.Err)
	}
	if several := joined(err); several != nil {
		for _, one := range several {
			out = append(out, faultsOf(c, one)...)
		}
		return out
	}
	if faults, ok := errors.AsType[structconf.Faults](err); ok {
		for _, f := range faults {
			f.Value, f.Message = redaction.Addresses(f.Value), redaction.Addresses(f.Message)
			out = append(out, f)
		}
		return out
	}
	return []any{said{terminal.Completed(c.out, redaction.Addresses(err.Error()))}}
}

// joined are the errors that [errors.Join] put together; nil for any other error, also
// one whose text holds several.
func joined(err error) []error {
	e, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(e.Unwrap()...).Error() != err.Error() {
		return nil
	}
	return e.Unwrap()
}
