package propose

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/help"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	shellscript "github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/script"
)

// repairScripts has "tunebus completion" write scripts that complete
// --set=section.key=value, too. The scripts of the library take everything up to the last "="
// for the flag.
func repairScripts(root *cobra.Command, console *view.Console) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil {
		panic(err) // the library adds it to every program with verbs
	}
	completion.GroupID = string(help.Configure)
	for _, c := range completion.Commands() {
		c.Example = "  tunebus completion " + c.Name()
		write := map[string]func(out io.Writer, described bool) error{
			"bash":       root.GenBashCompletionV2,
			"fish":       root.GenFishCompletion,
			"powershell": powershell(root),
			"zsh":        zsh(root),
		}[c.Name()]
		c.RunE = func(c *cobra.Command, _ []string) error {
			plain := c.Flags().Lookup("no-descriptions")
			var script bytes.Buffer
			if err := write(&script, plain == nil || plain.Value.String() != "true"); err != nil {
				return err
			}
			text := script.String()
			for _, r := range repairs() {
				text = strings.ReplaceAll(text, r[0], r[1])
			}
			return console.Print(shellscript.Result(text))
		}
	}
}

// repairs are parts of the library's scripts with those that take their places.
func repairs() [][2]string {
	return [][2]string{
		{"'-.*='", "'^-[^=]*='"}, // the end of a flag's name: the first "=" and not the last one
		{"(string split --max 1 \\t $", "(string split --max 1 \\t -- $"}, // a proposal may begin with "-"
	}
}

func zsh(root *cobra.Command) func(io.Writer, bool) error {
	return func(out io.Writer, described bool) error {
		if described {
			return root.GenZshCompletion(out)
		}
		return root.GenZshCompletionNoDesc(out)
	}
}

func powershell(root *cobra.Command) func(io.Writer, bool) error {
	return func(out io.Writer, described bool) error {
		if described {
			return root.GenPowerShellCompletionWithDesc(out)
		}
		return root.GenPowerShellCompletion(out)
	}
}
