package help

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errRepeated means that a flag which takes one value was given twice. Its text has none of
// the values: one may be a secret.
var errRepeated = errors.New("it takes one value and is given more than once; leave one of them out")

// once is the value of a flag that may be given once. What was given first would be lost
// without a word, such as the data folder of an alias of the shell. To repeat a switch as it
// is does no harm.
type once struct {
	pflag.Value
	given bool
}

// Set implements [pflag.Value].
func (o *once) Set(text string) error {
	before := o.String()
	err := o.Value.Set(text)
	if o.given && (o.Type() != "bool" || o.String() != before) {
		return errRepeated
	}
	o.given = true
	return err
}

// TakeOnce makes the flags of a command, and of those below it, refuse a second value. Flags
// that collect their values stay as they are.
func TakeOnce(c *cobra.Command) {
	for _, below := range c.Commands() {
		TakeOnce(below)
	}
	wrap := func(f *pflag.Flag) {
		switch f.Value.(type) {
		case pflag.SliceValue, *once:
			return
		}
		f.Value = &once{Value: f.Value}
		if f.DefValue == "0s" { // which the usage leaves out of a time's own type alone
			f.DefValue = "0"
		}
	}
	c.Flags().VisitAll(wrap)
	c.PersistentFlags().VisitAll(wrap)
}
