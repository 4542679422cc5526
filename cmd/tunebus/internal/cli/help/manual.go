package help

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// manPages is "tunebus man", which writes a manual page for each command and topic.
func manPages(root *cobra.Command, connection []string) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", GroupID: string(Configure),
		Example: "  tunebus man ~/.local/share/man/man1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Input(errors.New("man: want the folder to write to"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			pages := map[string]string{}
			addPages(pages, root, connection)
			if err := checkPages(dir, pages); err != nil {
				return exit.Input(fmt.Errorf("manual pages: %w", err))
			}
			if err := writePages(dir, pages); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			first, err := filepath.Abs(filepath.Join(dir, "tunebus.1")) // man takes a path without a slash for a page's name
			if err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "the manual pages are in %s; \"man %s\" shows the first one\n", dir, shellquote.Word(first))
			return nil
		},
	}
}

// addPages adds the pages of a command and of those below it, by the names of their files. "help"
// has none: each page is what it shows.
func addPages(pages map[string]string, c *cobra.Command, connection []string) {
	for _, below := range c.Commands() {
		if below.Name() != "help" && !below.Hidden {
			addPages(pages, below, connection)
		}
	}
	page := manual{name: pageName(c)}
	page.write(c, connection)
	pages[page.name+".1"] = page.text.String()
}

// pageName is the name of a command's page.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manual is a manual page in the language of man(7).
type manual struct {
	name string
	text strings.Builder
}

// write writes the page of a command or topic. It lists the flags that help lists, too.
func (m *manual) write(c *cobra.Command, connection []string) {
	m.linef(pageHead+"%s"+pageHeadEnd, strings.ToUpper(escaped(m.name)))
	m.linef(".SH NAME\n%s \\- %s", escaped(m.name), escaped(c.Short))
	topic := c.IsAdditionalHelpTopicCommand()
	if topic {
		m.linef(".SH SYNOPSIS\n.B tunebus help %s", escaped(c.Name()))
	} else {
		m.linef(".SH SYNOPSIS\n.B %s", escaped(c.UseLine()))
	}
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	m.linef(".SH DESCRIPTION")
	m.prose(about)
	if !topic {
		m.commands(c)
		m.flags("OPTIONS", taken(c, connection, false))
		m.flags("CONNECTION TO NATS", taken(c, connection, true))
		if c.HasExample() {
			m.linef(".SH EXAMPLES")
			m.prose(c.Example)
		}
	}
	m.linef(".SH EXIT STATUS")
	for _, s := range statuses() {
		m.linef(".TP\n.B %s\n%s", s[0], escaped(s[1]))
	}
	m.linef(".SH SEE ALSO\n%s", strings.Join(m.seeAlso(c), ", "))
}

// commands lists the commands below one.
func (m *manual) commands(c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	m.linef(".SH COMMANDS")
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			m.linef(".TP\n.B %s\n%s", escaped(below.Name()), escaped(below.Short))
		}
	}
}

// flags lists flags below a title, if there are some.
func (m *manual) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	m.linef(".SH %s", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := `\fB` + escaped("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			name = `\fB` + escaped("-"+f.Shorthand) + `\fR, ` + name
		}
		if kind != "" {
			name += ` \fI` + escaped(kind) + `\fR`
		}
		if !slices.Contains([]string{"", "false", "0", "0s", "[]"}, f.DefValue) {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		m.linef(".TP\n%s\n%s", name, escaped(usage))
	})
}

// seeAlso are the pages beside, above and below that of a command.
func (m *manual) seeAlso(c *cobra.Command) []string {
	var names []string
	if c.HasParent() {
		names = append(names, pageName(c.Parent()))
	}
	for _, below := range c.Commands() {
		if below.Name() != "help" && !below.Hidden {
			names = append(names, pageName(below))
		}
	}
	if status := "tunebus-exit-status"; m.name != status && !slices.Contains(names, status) {
		names = append(names, status)
	}
	for i, name := range names {
		names[i] = `\fB` + escaped(name) + `\fR(1)`
	}
	return names
}

// prose writes paragraphs. Lines that begin with a space keep their form.
func (m *manual) prose(text string) {
	asIs := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, " ")
		switch {
		case line == "" && !asIs:
			m.linef(".PP")
			continue
		case indented && !asIs:
			m.linef(".PP\n.nf")
		case !indented && line != "" && asIs:
			m.linef(".fi\n.PP")
		}
		asIs = indented || asIs && line == ""
		m.linef("%s", escaped(strings.TrimPrefix(line, "  "))) // the page indents all of its text
	}
	if asIs {
		m.linef(".fi")
	}
}

func (m *manual) linef(format string, args ...any) { fmt.Fprintf(&m.text, format+"\n", args...) }

// escaped is a text whose characters mean nothing to man.
func escaped(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "'", `\(aq`, "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
