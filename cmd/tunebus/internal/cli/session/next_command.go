package session

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/hint"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// CommandLine is a command on the same server or data folder: the words, the flags of this
// call that every command has, and those that say where it works.
func (s *Session) CommandLine(words ...string) string {
	return s.Program + " " + shellquote.Join(append(words[:len(words):len(words)], s.flagsFor(words)...)...)
}

// OnRun are the flags of another command on a run, which say where this command finds the run.
func (s *Session) OnRun() []string { return s.flagsFor([]string{"show"}) } // as each command on a run

// flagsFor are the flags that say to another command where this one works, behind its words.
func (s *Session) flagsFor(words []string) []string {
	ofAll := flagsOfAll(s)
	if s.Where == nil {
		return ofAll
	}
	return append(s.Where(slices.Concat(words, ofAll)), ofAll...)
}

// flagsOfAll are the flags of this call that every command has.
func flagsOfAll(s *Session) (words []string) {
	s.set.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			words = append(words, hint.Words(f)...)
		}
	})
	return words
}

// Found is the data folder of the process that this command found and asks; empty if another
// command comes to the same place by itself.
func (s *Session) Found() string { return s.found }
