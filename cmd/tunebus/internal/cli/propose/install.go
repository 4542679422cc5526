package propose

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// Install gives all commands below root, and root itself, the proposals for their
// flags, and for the files that they take, and repairs the scripts for the shells.
// What a command proposes itself stays. runs proposes runs.
func Install(root *cobra.Command, console *view.Console, runs cobra.CompletionFunc) {
	register(root, "context", printable(contexts))
	register(root, "settings", tomlFiles)
	for _, c := range root.Commands() {
		install(c, runs)
	}
	repairScripts(root, console)
}

func install(c *cobra.Command, runs cobra.CompletionFunc) {
	register(c, "set", assignments)
	register(c, "config", tomlFiles)
	register(c, "run", func(c *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return printable(runs)(c, nil, begun)
	})
	register(c, "phase", phases)
	register(c, "dtype", cobra.FixedCompletions([]cobra.Completion{"float32", "float16", "bfloat16"}, cobra.ShellCompDirectiveNoFileComp))
	for _, folder := range []string{"data", "reports"} {
		register(c, folder, folders)
	}
	if c.ValidArgsFunction != nil {
		c.ValidArgsFunction = printable(c.ValidArgsFunction)
	}
	if c.ValidArgsFunction == nil && strings.Contains(c.Use, "[FILE...]") {
		c.ValidArgsFunction = tomlFiles
	}
	for _, below := range c.Commands() {
		install(below, runs)
	}
}

// register registers proposals for a flag of a command, if it has the flag and no
// proposals for it.
func register(c *cobra.Command, flag string, propose cobra.CompletionFunc) {
	if c.Flag(flag) == nil {
		return
	}
	if _, has := c.GetFlagCompletionFunc(flag); has {
		return
	}
	if err := c.RegisterFlagCompletionFunc(flag, propose); err != nil {
		panic(err) // the command has the flag, so it is a fault of the program
	}
}

func phases(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, p := range events.Phases() {
		out = append(out, string(p))
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func tomlFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

func folders(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
