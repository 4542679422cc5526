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
		return `"` + c.Program + parts[2] + c.flags(about, words) + `"`
	})
}

// flags are the flags of the present command that belong to another one, too, and
// that are not among its words.
func (c Completer) flags(about *cobra.Command, words []string) string {
	if about == c.Root || c.Current == nil || slices.Contains(words, "--help") {
		return ""
	}
	text := ""
	c.Current.Flags().Visit(func(f *pflag.Flag) {
		has := about.Flags().Lookup(f.Name) != nil || about.InheritedFlags().Lookup(f.Name) != nil
		if has && slices.Contains(c.Where, f.Name) && !slices.Contains(words, "--"+f.Name) {
			text += " " + shellquote.Join(Words(f)...)
		}
	})
	return text
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
