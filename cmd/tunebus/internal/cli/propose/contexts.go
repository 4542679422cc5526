package propose

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// contexts proposes the contexts of the nats command, which keeps each in a file.
func contexts(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	folder, err := userfolder.Config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entries, err := os.ReadDir(filepath.Join(folder, "nats", "context"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // the person has none
	}
	var out []cobra.Completion
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && strings.HasPrefix(name, begun) {
			out = append(out, name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
