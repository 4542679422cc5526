// Package help is what the program says about itself: verbs in groups, flags
// apart from those of the connection, topics, and manual pages.
//
//	help.Install(root, connection) // once, when all verbs are there
package help

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Group is a group of verbs, by the id that a command's GroupID names.
type Group string

// The groups, in the order in which help shows them.
const (
	Run       Group = "run"
	Look      Group = "look"
	Repeat    Group = "repeat"
	Operate   Group = "operate"
	Configure Group = "configure"
)

// groups are the groups with their titles.
func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: string(Run), Title: "Run pipelines:"},
		{ID: string(Look), Title: "Look at runs:"},
		{ID: string(Repeat), Title: "Repeat and use results:"},
		{ID: string(Operate), Title: "Operate services:"},
		{ID: string(Configure), Title: "Configure and learn more:"},
	}
}

// connects marks a command that connects to a server.
const connects = "connects"

// Connects marks a command, and those below it, as one that connects to a server.
func Connects(c *cobra.Command) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[connects] = "yes"
}

// UsesConnection reports whether a command, or one above it, connects to a server.
func UsesConnection(c *cobra.Command) bool {
	for ; c != nil; c = c.Parent() {
		if c.Annotations[connects] != "" {
			return true
		}
	}
	return false
}

// Install gives the root command its groups, its topics and the form of its help.
// connection are the names of the flags of the connection, which only the help of
// commands that connect shows. program is the word by which a person calls the program.
func Install(root *cobra.Command, connection []string, program string) {
	root.AddGroup(groups()...)
	for _, t := range topics() {
		root.AddCommand(t)
	}
	root.AddCommand(manPages(root, connection))
	root.SetHelpCommandGroupID(string(Configure))
	root.SetCompletionCommandGroupID(string(Configure))
	root.SetUsageFunc(usageFunc(connection, program))
	usual := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		c.Long = filled(typed(c.Long, program))
		usual(c, args)
	})
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			for _, shell := range c.Commands() {
				shell.Example = "  " + shell.CommandPath()
			}
		}
	}
	wantVerb(root)
	badArguments(root)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		return errors.Join(refuseVoid(c, connection), refuseEmpty(c))
	}
}

// badArguments makes arguments that a command, or one below it, does not take bad
// input.
func badArguments(c *cobra.Command) {
	for _, below := range c.Commands() {
		badArguments(below)
	}
	if takes := c.Args; takes != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := takes(c, args)
			if _, marked := errors.AsType[*exit.Error](err); err != nil && !marked {
				err = exit.Input(fmt.Errorf("%s: %w", c.CommandPath(), err))
			}
			return err
		}
	}
}

// usageFunc returns what writes the usage of a command. It has a template of its own,
// because cobra's templates share their functions with every other root command.
func usageFunc(connection []string, program string) func(*cobra.Command) error {
	t := template.Must(template.New("usage").Funcs(template.FuncMap{
		"rpad":  func(text string, width int) string { return fmt.Sprintf("%-*s", width, text) },
		"topic": topicLine,
		"flags": func(c *cobra.Command) string { return flagUsages(c, connection, false) },
		"connectionFlags": func(c *cobra.Command) string {
			if !UsesConnection(c) {
				return ""
			}
			return flagUsages(c, connection, true)
		},
	}).Parse(usage))
	return func(c *cobra.Command) error {
		var text strings.Builder
		if err := t.Execute(&text, c); err != nil {
			return err
		}
		_, err := io.WriteString(c.OutOrStderr(), typed(text.String(), program))
		return err
	}
}

// commandLine is the beginning of a line of help that is a command.
var commandLine = regexp.MustCompile(`(?m)^( +)tunebus `)

// typed has the commands of help begin with the word by which the program was called, so that
// they can be typed.
func typed(text, program string) string {
	return commandLine.ReplaceAllStringFunc(text, func(begin string) string {
		return strings.Replace(begin, "tunebus", program, 1)
	})
}

// helpCommand is "tunebus help".
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND | TOPIC]", Short: "Help about any command or topic", GroupID: string(Configure),
		Example:           "  tunebus help exit-status",
		ValidArgsFunction: proposeTopics(root),
		RunE: func(_ *cobra.Command, args []string) error {
			about, left, err := root.Find(args)
			switch {
			case err != nil:
				return unknown(root, args[0])
			case len(left) > 0 && about.HasSubCommands():
				return unknown(about, left[0])
			case len(left) > 0:
				return exit.Input(fmt.Errorf("help takes one command or topic, but got %q behind %s, too", left[0], strings.Join(args[:len(args)-len(left)], " ")))
			}
			return about.Help()
		},
	}
}

// proposeTopics proposes the commands and topics that help tells about.
func proposeTopics(root *cobra.Command) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		above, left, err := root.Find(args)
		if err != nil || len(left) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, c := range above.Commands() {
			if (c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand()) && strings.HasPrefix(c.Name(), begun) {
				out = append(out, cobra.CompletionWithDesc(c.Name(), c.Short))
			}
		}
		slices.Sort(out)
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// wantVerb makes a command that only has others below it, and such commands below
// it, show their help, or refuse a verb that they do not have.
func wantVerb(c *cobra.Command) {
	for _, below := range c.Commands() {
		wantVerb(below)
	}
	if !c.HasSubCommands() || c.Runnable() {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(c, args[0])
		}
		return c.Help()
	}
}

// unknown is the error of a verb that a command does not have.
func unknown(c *cobra.Command, verb string) error {
	var names []string
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			names = append(names, below.Name())
		}
	}
	if !c.HasParent() {
		names = append(names, "help")
		if verb == "version" {
			return exit.Input(errors.New("the version is shown by \"tunebus --version\""))
		}
	}
	hint := "want one of " + strings.Join(names, ", ")
	if nearest := structconf.Nearest(verb, names); nearest != "" {
		hint = "did you mean " + nearest + "?"
	}
	return exit.Input(fmt.Errorf("%s has no command %q; %s", c.CommandPath(), verb, hint))
}

// usage is cobra's template of a command's usage, with verbs in groups and the
// flags of the connection apart.
const usage = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{range $group := .Groups}}

{{$group.Title}}{{range $cmds}}{{if (and (eq .GroupID $group.ID) .IsAvailableCommand)}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if not .AllChildCommandsHaveGroup}}

Available Commands:{{range $cmds}}{{if (and (eq .GroupID "") .IsAvailableCommand)}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{with flags .}}

Flags:
{{.}}{{end}}{{with connectionFlags .}}

Connection to NATS:
{{.}}{{end}}{{if .HasHelpSubCommands}}

Topics, shown by "tunebus help TOPIC":{{range .Commands}}{{with topic .}}
  {{.}}{{end}}{{end}}{{end}}{{if .HasAvailableSubCommands}}

"{{.CommandPath}} [command] --help" tells more about a command.{{end}}
`
