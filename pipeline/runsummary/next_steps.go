package runsummary

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Retry holds the commands that start a run once more.
type Retry struct {
	// Program is the word by which a person calls tunebus; empty: its usual name.
	Program string
	// Command starts the same run again.
	Command string
	// Rerun uses again what the run made; empty if the run's server ends with the
	// run. It may be the same as Command.
	Rerun string
	// On are the flags of commands on the run that say where it is found; none:
	// commands look in the right place by themselves.
	On []string
	// Taken, if set, reports whether a name in the working folder is taken.
	Taken func(name string) bool
}

// Step is one thing that a person can do next.
type Step struct {
	Do string `json:"do"`
	// With is the command to type, or the file or address to open.
	With string `json:"with"`
}

func (s Step) String() string { return s.Do + ": " + s.With }

// NextSteps lists what can be done after a run has ended; nothing before that.
func NextSteps(run events.Run, s Summary, again Retry) []Step {
	if run.Completed == nil {
		return nil
	}
	var out []Step
	add := func(do, with string) { out = append(out, Step{do, with}) }
	switch run.Completed.Conclusion {
	case events.Failure:
		if again.Command == again.Rerun { // which has the specification as it was stored
			add("mend what the error names, a key by --set KEY=VALUE behind this, then", again.Command)
		} else {
			add("mend what the error names, then", again.Command)
		}
		add("read its log", onRun(again, "logs", run.ID))
	case events.Cancelled:
		add("start it again", again.Command)
	default:
		if book, ok := s.Links[LinkWorkbook]; ok {
			add("open the workbook", book)
		}
	}
	if TunedModel(run) {
		add("take the model out", onRun(again, "export", run.ID, again.free(modelFolder(run))))
		if len(UnreadModel(run)) == 0 {
			add("talk with it", onRun(again, "chat", run.ID))
		}
	}
	if run.Completed.Conclusion != events.Success && again.Rerun != "" && again.Rerun != again.Command && anySucceeded(run) {
		add("or use again what is finished", again.Rerun)
	}
	if uri := s.Links[LinkMLflow]; folderaddress.Is(uri) {
		store := filepath.Dir(filepath.Dir(pathOf(uri)))
		add("move the MLflow runs into a database, to browse them", shellquote.Join("mlflow", "migrate-filestore", "--source", store, "--target", "sqlite:///"+databaseBeside(store)))
	} else if uri != "" {
		add("compare it in MLflow", uri)
	}
	if slices.ContainsFunc(s.Published, func(p events.PublishedCompleted) bool { return p.Outcome != events.Pushed }) || len(s.Unpublished) > 0 {
		push := []string{"replay", "publishing", "--run", run.ID}
		switch {
		case run.Completed.Conclusion == events.Cancelled: // nobody pushes such a run
		case run.GatesForbidPush() != "":
			add("push to the Hub although its gates are not met", command(again, slices.Concat(push, []string{"--push-always"}, again.On)...))
		default:
			add("push to the Hub what is not there", command(again, append(push, again.On...)...))
		}
	}
	// Who has such a file has begun with data of his own.
	if name := "my-run.toml"; run.Completed.Conclusion == events.Success && (again.Taken == nil || !again.Taken(name)) {
		add("use your own data, with a specification to fill in", command(again, "config", "init", name))
	}
	return out
}

// ExportCommand is the command that writes the model of a run to a folder. on are its flags
// that say where the run is found, see [Retry].
func ExportCommand(run events.Run, on ...string) string {
	return onRun(Retry{On: on}, "export", run.ID, modelFolder(run))
}

// modelFolder is a folder for the model of a run, which other runs do not have.
func modelFolder(run events.Run) string {
	if run.Accepted != nil && events.ValidToken(run.Accepted.RunName) {
		if strings.HasPrefix(run.Accepted.RunName, "-") { // no flag
			return "./" + run.Accepted.RunName
		}
		return run.Accepted.RunName
	}
	return run.ID
}

// free is a name that is not taken: the given one, or that with a number.
func (r Retry) free(name string) string {
	if r.Taken == nil {
		return name
	}
	const most = 100
	for i, next := 2, name; i < most; i++ {
		if !r.Taken(next) {
			return next
		}
		next = fmt.Sprintf("%s-%d", name, i)
	}
	return name
}

// onRun is a command on a run, with further arguments.
func onRun(again Retry, verb, run string, args ...string) string {
	return command(again, slices.Concat([]string{verb, run}, args, again.On)...)
}

// command is a command line of the program.
func command(again Retry, words ...string) string {
	return cmp.Or(again.Program, "tunebus") + " " + shellquote.Join(words...)
}

func anySucceeded(run events.Run) bool {
	for _, p := range run.Phases {
		if succeeded(p) {
			return true
		}
	}
	return false
}

// pathOf is the path that an address of a file means.
func pathOf(uri string) string {
	if path, err := folderaddress.Folder(uri); err == nil {
		return path
	}
	return strings.TrimPrefix(strings.TrimPrefix(uri, "file:"), "//")
}

// databaseBeside is a file for a database beside a folder. MLflow reads its path as part of an
// address: what that cannot say lies in the working folder.
func databaseBeside(folder string) string {
	const name = "mlflow.db"
	if beside := filepath.Join(filepath.Dir(folder), name); !strings.ContainsAny(beside, "?#%") {
		return beside
	}
	return name
}
