package timeflag

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// wait is the value of a flag that takes how long to wait.
type wait time.Duration

// WaitVar adds a flag that takes how long to wait, which is never negative.
func WaitVar(flags *pflag.FlagSet, to *time.Duration, name string, usual time.Duration, usage string) {
	*to = usual
	flags.Var((*wait)(to), name, usage)
}

// Set reads the flag.
func (w *wait) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time to wait; write it such as 90s, 5m or 1h30m", text)
	}
	*w = wait(d)
	return nil
}

// String writes the flag; help shows its default so.
func (w *wait) String() string {
	if *w == 0 {
		return ""
	}
	return time.Duration(*w).String()
}

// Type is the name that help shows.
func (*wait) Type() string { return "duration" }
