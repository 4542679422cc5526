package help

import (
	"errors"
	"fmt"
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
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return exit.Input(fmt.Errorf("%s is no flag of %s; %s", dashed(unknown), c.CommandPath(), nearestFlag(c, unknown)))
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return exit.Input(fmt.Errorf("--%s: a value is missing behind it", bare.GetFlag().Name))
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
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
