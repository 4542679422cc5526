// Package enginelist renders what is there of each engine.
package enginelist

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Result is the table of the engines, with a line for each that something is to be done
// about.
func Result(all []enginestate.Engine) view.Result {
	return view.NewResult(all, func(w io.Writer) {
		view.Table(w, all, "ENGINE\tPHASES\tSTATE\tVERSIONS", func(e enginestate.Engine) string {
			versions := strings.Join(e.Packages(), ", ")
			if e.Python != "" {
				versions = "Python " + e.Python + ", " + versions
			}
			return fmt.Sprintf("%s\t%s\t%s\t%s", e.Name, view.Words(e.Phases), e.State, cmp.Or(versions, "-"))
		})
		for _, e := range all {
			where := e.Folder
			if len(e.Command) > 0 && e.Folder == "" {
				where = shellquote.Join(e.Command...)
			}
			if where == "" && e.Do == "" {
				continue
			}
			fmt.Fprintf(w, "\n%s: %s\n", e.Name, view.Printable(cmp.Or(where, e.Says)))
			if where != "" && e.Says != "" {
				fmt.Fprintf(w, "  %s\n", view.Printable(e.Says))
			}
			if e.Do != "" {
				fmt.Fprintf(w, "  %s\n", view.Printable(e.Do))
			}
		}
	})
}

// Installed is the environment that an engine has now.
func Installed(e enginestate.Engine, made bool, settings string) view.Result {
	value := struct {
		enginestate.Engine
		Made bool `json:"made"`
	}{e, made}
	return view.NewResult(value, func(w io.Writer) {
		verb := "is there already"
		if made {
			verb = "is installed"
		}
		fmt.Fprintf(w, "%s %s: %s\n", e.Name, verb, view.Printable(e.Folder))
		fmt.Fprintf(w, "Python %s, %s\n", e.Python, strings.Join(e.Packages(), ", "))
		fmt.Fprintf(w, "%s\n", settings)
	})
}
