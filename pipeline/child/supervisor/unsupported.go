//go:build !unix

package supervisor

import "errors"

// Process is a command that runs. There is none on this system.
type Process struct{}

// Main returns.
func Main() {}

// Start returns an error.
func Start(Command) (*Process, error) {
	return nil, errors.New("this system has no Unix signals, so that tunebus runs no command on it")
}

// Terminate does nothing.
func (*Process) Terminate() {}

// Kill does nothing.
func (*Process) Kill() {}

// Done is never closed.
func (*Process) Done() <-chan struct{} { return nil }

// Wait returns the zero Exit.
func (*Process) Wait() Exit { return Exit{} }
