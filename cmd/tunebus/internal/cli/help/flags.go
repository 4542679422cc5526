package help

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// kinds are the types of flags whose errors are those of the language's parsers,
// with what a person has to write.
var kinds = map[string]string{
	"bool":     "true or false",
	"int":      "a whole number",
	"float64":  "a number",
	"duration": "a time such as 90s, 10m or 2h",
}

// FlagError is the error of a command line whose flags cannot be read. It is bad
// input.
func FlagError(c *cobra.Command, err error) error {
	if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 { // whose flag this may be, if there were such a command
		return unknown(c, words[0])
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return exit.Input(fmt.Errorf("%s is no flag of %s; %s", dashed(unknown), c.CommandPath(), nearestFlag(c, unknown)))
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return exit.Input(fmt.Errorf("--%s: a value is missing behind it", bare.GetFlag().Name))
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if errors.Is(invalid, errRepeated) {
			return exit.Input(fmt.Errorf("--%s: %w", invalid.GetFlag().Name, errRepeated))
		}
		return exit.Input(fmt.Errorf("--%s %s: %s", invalid.GetFlag().Name, strconv.Quote(invalid.GetValue()), wanted(invalid)))
	}
	if bad, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return exit.Input(fmt.Errorf("%s: a flag is --NAME or --NAME=VALUE; what begins with \"-\" and is no flag stands behind \"--\"", bad.GetSpecifiedFlag()))
	}
	return exit.Input(err)
}

// dashed is a flag as it was typed.
func dashed(unknown *pflag.NotExistError) string {
	if letters := unknown.GetSpecifiedShortnames(); letters != "" {
		return "-" + letters
	}
	return "--" + unknown.GetSpecifiedName()
}

// nearestFlag says which flag of a command was meant, or where all are listed.
func nearestFlag(c *cobra.Command, unknown *pflag.NotExistError) string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if nearest := structconf.Nearest(unknown.GetSpecifiedName(), names); nearest != "" && unknown.GetSpecifiedShortnames() == "" {
		return "did you mean --" + nearest + "?"
	}
	return fmt.Sprintf("\"%s --help\" lists its flags", c.CommandPath())
}

// wanted says what the value of a flag has to be.
func wanted(invalid *pflag.InvalidValueError) string {
	if errors.Is(invalid, strconv.ErrRange) {
		return "the number is too large"
	}
	if kind, ok := kinds[invalid.GetFlag().Value.Type()]; ok {
		return "want " + kind
	}
	return strings.TrimSpace(invalid.Unwrap().Error())
}

// outputFlags are flags of all commands, without effect on those that write text about the
// program alone: help, a completion script, manual pages.
var outputFlags = []string{"json", "verbose", "settings"}

// void says why a flag of the root command has no effect on a command; empty if it has one.
func void(c *cobra.Command, flag string, connection []string) string {
	switch {
	case slices.Contains(connection, flag) && !UsesConnection(c):
		return fmt.Sprintf(": \"%s\" connects to no server", c.CommandPath())
	case slices.Contains(outputFlags, flag) && isAbout(c):
		return fmt.Sprintf(" on \"%s\"", c.CommandPath())
	}
	return ""
}

// isAbout reports whether a command writes text about the program alone.
func isAbout(c *cobra.Command) bool {
	return c.Name() == "help" || c.Name() == "man" || c.HasSubCommands() || c.HasParent() && c.Parent().Name() == "completion"
}

// refuseVoid refuses flags that have no effect.
func refuseVoid(c *cobra.Command, connection []string) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 { // the verb that there is not is the fault
		return nil
	}
	var faults []error
	c.Flags().Visit(func(f *pflag.Flag) {
		if why := void(c, f.Name, connection); why != "" {
			faults = append(faults, exit.Input(fmt.Errorf("--%s has no effect%s", f.Name, why)))
		}
	})
	return errors.Join(faults...)
}

// refuseEmpty refuses flags that were given without a value: the variable of a script that is
// not set must not have the command do something else.
func refuseEmpty(c *cobra.Command) error {
	var faults []error
	c.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		// A time of nothing, as "--older-than 0s", has no text, and parsed well.
		if slices.Contains(values, "") && f.Value.Type() != "age" && f.Value.Type() != "duration" {
			faults = append(faults, exit.Input(fmt.Errorf("--%s is empty; give it a value, or leave the flag out", f.Name)))
		}
	})
	return errors.Join(faults...)
}

// columns is how wide the text of help may be.
const columns = 80

// taken are the flags that a command takes: those of the connection, or all others. The root
// command shows what all commands take.
func taken(c *cobra.Command, connection []string, ofConnection bool) *pflag.FlagSet {
	chosen := pflag.NewFlagSet("", pflag.ContinueOnError)
	add := func(f *pflag.Flag) {
		if slices.Contains(connection, f.Name) == ofConnection && (!c.HasParent() && !ofConnection || void(c, f.Name, connection) == "") {
			chosen.AddFlag(f)
		}
	}
	c.LocalFlags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	return chosen
}

// flagUsages lists the flags that a command takes: those of the connection, or all others.
func flagUsages(c *cobra.Command, connection []string, ofConnection bool) string {
	return strings.TrimRight(taken(c, connection, ofConnection).FlagUsagesWrapped(columns), "\n")
}
