// Package inputcheck finds the inputs of a run that stayed where a person had them
// and are no longer as they were: a repeated run would end there, and an archived
// or exported one refers to what is gone.
package inputcheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// Inputs are the local inputs that can be looked at from here.
type Inputs struct {
	// folder is the data folder; nil if it is on another machine.
	folder *localinput.Folder
}

// On returns the local inputs of a data folder, or else those of the up on this
// machine that listens on server.
func On(data, server string) (Inputs, error) {
	var in Inputs
	if data == "" {
		up, ok := localup.Find(server)
		if !ok {
			return in, nil
		}
		data = up.Data
	}
	var err error
	in.folder, err = localinput.Open(data)
	return in, err
}

// Changed says of each local input of a run what is no longer as it was. Inputs
// with a key of without are left out.
func (in Inputs) Changed(ctx context.Context, run events.Run, without map[string]string) []string {
	if run.Accepted == nil {
		return nil
	}
	var out []string
	files := run.Accepted.Inputs.Files
	for _, key := range slices.Sorted(maps.Keys(files)) {
		ref := files[key]
		if _, left := without[key]; left || !localinput.Is(ref) {
			continue
		}
		if why := in.changed(ctx, ref); why != "" {
			out = append(out, fmt.Sprintf("%s of run %s: %s", key, run.ID, why))
		}
	}
	return out
}

func (in Inputs) changed(ctx context.Context, ref events.Reference) string {
	if in.folder == nil || in.folder.StoreID() != ref.Store {
		return ref.Key + " stayed on the machine of the run's data folder; it cannot be looked at from here"
	}
	err := in.folder.Compare(ctx, ref)
	if changed, ok := errors.AsType[*localinput.ChangedError](err); ok {
		return changed.Error()
	}
	if err != nil {
		return fmt.Sprintf("%s cannot be read: %v", ref.Key, err)
	}
	return ""
}
