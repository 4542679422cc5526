package opscmd

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/trainerinstall"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// checkEngines says of each engine with an environment what is there. One that nobody
// installed is no fault.
func checkEngines(cfg settings.Settings) (found []view.Finding) {
	all, err := enginestate.All(cfg)
	if err != nil {
		return []view.Finding{{Name: "engines", State: view.StateLook, Says: err.Error()}}
	}
	for _, e := range all {
		if e.Folder == "" {
			continue // it is built in, elsewhere, or the command that checkTrainer looks at
		}
		f := view.Finding{Name: "engine " + e.Name, State: view.StateOK, Says: e.Says}
		if e.Usable {
			f.Says = fmt.Sprintf("%s has Python %s, %s", e.Folder, e.Python, strings.Join(e.Packages(), ", "))
		}
		if e.State != string(trainerinstall.Current) && e.Says != "" && e.Usable {
			f.Says += "; it is " + e.State + ": " + e.Says
		}
		switch {
		case e.State == string(trainerinstall.Missing):
			f.Do = fmt.Sprintf("%q makes it, where fine_tuner.engine = %q is wanted", e.Do, e.Name)
		case e.Do != "":
			f.State, f.Do = view.StateLook, fmt.Sprintf("%q makes it anew", e.Do)
		}
		if e.State == string(trainerinstall.Broken) || e.State == string(trainerinstall.HalfMade) {
			f.Says = e.Folder + ": " + e.Says
		}
		found = append(found, f)
	}
	return found
}
