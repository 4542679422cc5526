package child

import "fmt"

// StatusStopped is the exit status of a command that was stopped, and whose work can be
// gone on with.
const StatusStopped = 75

// StatusUnusable is the exit status of a command that cannot work where it is, such as in
// a Python without its packages: another attempt would end alike.
const StatusUnusable = 78

// Reason says of a command that ended without a result and without an error how it
// ended. who is what people call it, such as "the trainer".
func (e Exit) Reason(who string) string {
	switch {
	case e.Unsupervised:
		return fmt.Sprintf("somebody killed the process of tunebus that watches %s, and %s ended with it", who, who)
	case e.Signal == "killed":
		return who + " was killed by a signal that tunebus did not send; where the memory of a machine runs out, the kernel does that"
	case e.Signal != "":
		return fmt.Sprintf("%s was ended by the signal %q", who, e.Signal)
	case e.Status == 0:
		return who + " ended without a result"
	}
	return fmt.Sprintf("%s ended with exit status %d and said no reason", who, e.Status)
}
