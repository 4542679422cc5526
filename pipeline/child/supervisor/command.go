package supervisor

import "os"

// Command is what is started.
type Command struct {
	// Args are the program and its arguments.
	Args []string
	// Environ is the whole environment, as os.Environ returns one.
	Environ []string
	// Stdout and Stderr are inherited by the command; nil: the null device.
	Stdout, Stderr *os.File
}

// Exit is how a command ended.
type Exit struct {
	// Status is the exit status; -1 if a signal ended the command.
	Status int
	// Signal is the name of the signal, such as "killed"; empty without one.
	Signal string
	// Left is how many processes were there when the command had ended, and were killed.
	Left int
	// Unsupervised says that the supervisor was killed, so that nobody knows how the
	// command ended.
	Unsupervised bool
}
