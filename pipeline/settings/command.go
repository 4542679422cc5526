package settings

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// builtinQueue is the queue of the jobs for the built-in engine.
const builtinQueue = "builtin"

// checkCommand returns the faults of a command that trains.
func checkCommand(f Finetune) (faults structconf.Faults) {
	fault := func(key, value, message string) {
		faults = append(faults, structconf.Fault{Key: "services.finetune." + key, Value: value, Message: message})
	}
	switch {
	case len(f.Command) == 0 && f.Queue == "command":
		fault("command", "", `is missing; the jobs of the queue "command" need the command that trains`)
	case len(f.Command) > 0 && f.Queue == builtinQueue:
		fault("queue", f.Queue, `the command does not train jobs of the built-in engine; give it a queue of its own, such as "command"`)
	}
	if len(f.Command) == 0 && f.Queue == builtinQueue && len(f.Devices) > 0 {
		fault("devices", strings.Join(f.Devices, " "), "has no effect without services.finetune.command, or the queue of an engine such as trl")
	}
	if n := len(f.Devices); f.Queue != builtinQueue && n > 0 && n != f.Slots {
		fault("devices", strings.Join(f.Devices, " "), fmt.Sprintf("has %d entries, want one for each of the %d slots", n, f.Slots))
	}
	for _, v := range f.Environment {
		if name, _, _ := strings.Cut(v, "="); name == "" || strings.ContainsAny(name, " \t") {
			fault("environment", "", "want NAME or NAME=value in each entry")
		}
	}
	return faults
}
