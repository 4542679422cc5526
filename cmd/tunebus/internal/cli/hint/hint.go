// Package hint makes the commands that texts name ones that a person can type as
// they stand.
//
// Texts of all packages name a command in one form, in double quotes and with the
// program's usual name:
//
//	no such letter; "tunebus dlq list" lists them
//
// The package that writes them completes them: what it says itself, errors, and the
// sentences of results, but never the data in results. A [Completer] puts the name in by which the program was called, and behind the
// command the flags that say where the present command works: what a person sees
// with --server is looked at with --server, too.
package hint

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// usual is the program's name where it is installed.
const usual = "tunebus"

// Program returns the word by which a person calls the program that was called as
// said, the first argument of its process.
func Program(called string) string {
	if called == "" {
		return usual
	}
	if !strings.ContainsRune(called, os.PathSeparator) {
		return shellquote.Word(called)
	}
	if installed, err := exec.LookPath(usual); err == nil && same(installed, called) {
		return usual
	}
	return shellquote.Word(called)
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// Completer completes the commands in texts.
type Completer struct {
	Program string
	// Root is the command of the program, with all others below it.
	Root *cobra.Command
	// Current is the command that runs, whose flags are repeated. Where are the
	// names of the flags that say where a command works.
	Current *cobra.Command
	Where   []string
	// Connects, if set, says which commands connect to a server. The flags that all
	// commands have are for these alone.
	Connects func(*cobra.Command) bool
	// Found, if set, is the data folder where the present command works although no flag
	// says so; empty: others find the place by themselves.
	Found func() string
}

// named finds commands in a sentence, and what stands before them. The words have no
// quotes in them. The name alone is no command, but may be a value, such as that of
// mlflow.experiment_name.
var named = regexp.MustCompile(`(= ?)?"` + usual + `( [^"\n]+)"`)

// Complete completes the commands that a sentence of the program names. It is not for
// what a person wrote, such as rows and names. Sentences quote that, too: what stands
// behind an equals sign, or begins with no verb, stays as it is.
func (c Completer) Complete(sentence string) string {
	if !strings.Contains(sentence, `"`+usual) {
		return sentence
	}
	return named.ReplaceAllStringFunc(sentence, func(found string) string {
		parts := named.FindStringSubmatch(found)
		words := strings.Fields(parts[2])
		about, _, err := c.Root.Find(words)
		isOption := len(words) > 0 && strings.HasPrefix(words[0], "--")
		if parts[1] != "" || err != nil || about == c.Root && !isOption {
			return found
		}
		flags := c.flags(about, words)
		if len(flags) > 0 {
			parts[2] += " " + shellquote.Join(flags...)
		}
		return `"` + c.Program + parts[2] + `"`
	})
}

// Flags are the words that say where the present command works, of the flags that another
// one has, too, and that are not among its words.
func (c Completer) Flags(words []string) []string {
	about, _, err := c.Root.Find(words)
	if err != nil {
		return nil
	}
	return c.flags(about, words)
}

func (c Completer) flags(about *cobra.Command, words []string) (flags []string) {
	if about == c.Root || c.Current == nil || slices.Contains(words, "--help") {
		return nil
	}
	lacks := func(name string) bool {
		has := about.LocalNonPersistentFlags().Lookup(name) != nil ||
			(c.Connects == nil || c.Connects(about)) && (about.Flags().Lookup(name) != nil || about.InheritedFlags().Lookup(name) != nil)
		return has && !slices.Contains(words, "--"+name)
	}
	c.Current.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(c.Where, f.Name) && lacks(f.Name) {
			flags = append(flags, Words(f)...)
		}
	})
	// A verb that starts services has a folder of its own.
	if c.Found != nil && c.Found() != "" && lacks("data") && !slices.Contains(flags, "--data") && about.Name() != "run" && about.Name() != "up" {
		flags = append(flags, "--data", c.Found())
	}
	return flags
}

// Words are the words of a command line that give a flag its value. They are printed,
// so an address in them has no user and no password.
func Words(f *pflag.Flag) (words []string) {
	name := "--" + f.Name
	several, isList := f.Value.(pflag.SliceValue)
	switch {
	case isList:
		for _, value := range several.GetSlice() {
			words = append(words, name, printable(f, value))
		}
		return words
	case f.NoOptDefVal == "":
		return []string{name, printable(f, f.Value.String())}
	case f.NoOptDefVal == f.Value.String():
		return []string{name}
	}
	return []string{name + "=" + f.Value.String()}
}

// printable is a flag's value without the secrets of an address. NATS takes addresses
// without a scheme, too.
func printable(f *pflag.Flag, value string) string {
	if f.Name == "server" || strings.Contains(value, "://") {
		return settings.Redacted(value)
	}
	return value
}
