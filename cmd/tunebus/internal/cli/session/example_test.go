package session_test

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// A command that works on a server and its artifact store.
func ExampleSession() {
	s := session.New("v1.0.0", view.NewConsole(os.Stdout, os.Stderr))
	var at session.Location
	c := &cobra.Command{
		Use: "store", Short: "Show the id of the artifact store", Args: session.NoArgs,
		RunE: s.WithStore(&at, func(_ context.Context, server *session.Deployment, store *artifact.Store) error {
			s.Console.Say("%s uses store %s", server.Bus.Server(), store.ID())
			return nil
		}),
	}
	at.AddFlags(c)
	fmt.Println(c.Name(), c.Flags().HasAvailableFlags())
	// Output: store true
}
