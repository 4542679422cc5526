package runrequest

import (
	"encoding/json"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/replay"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// ReadOverrides reads assignments, each section.key=value, which go over
// stored specifications. It returns the local files that they name, by key, and
// finds every fault that does not depend on a specification.
func ReadOverrides(sets []string) (replay.Overrides, map[string]string, error) {
	var tree structconf.Tree
	var overridden events.Specification
	faults := append(assign(&tree, sets), expandVariables(tree)...)
	if faults = append(faults, structconf.Decode(&overridden, tree)...); len(faults) > 0 {
		return replay.Overrides{}, nil, Faulty(faults)
	}
	files, faults := localFiles(nil, spec.Paths(overridden), nil)
	if len(faults) > 0 {
		return replay.Overrides{}, nil, exit.Input(faults)
	}
	return replay.NewOverrides(tree), files, nil
}

// OverridesRequest is a request that holds only overrides, to check them
// for secrets.
func OverridesRequest(o replay.Overrides) (Request, error) {
	said, err := o.Apply(json.RawMessage("{}"))
	return Request{Overrides: said}, err
}
