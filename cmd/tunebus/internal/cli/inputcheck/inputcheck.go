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

// Changed is an input that is not as it was, or that cannot be looked at.
type Changed struct {
	Key   string
	RunID string
	Why   string
	// Path is where it was.
	Path string
	// Sure is false if it cannot be looked at from here.
	Sure bool
	// Gone is set if nothing is there.
	Gone bool
}

func (c Changed) String() string { return fmt.Sprintf("%s of run %s: %s", c.Key, c.RunID, c.Why) }

// Changed returns the local inputs of a run that are no longer as they were, of those with a
// key that is read.
func (in Inputs) Changed(ctx context.Context, run events.Run, isRead func(key string) bool) []Changed {
	if run.Accepted == nil {
		return nil
	}
	var out []Changed
	files := run.Accepted.Inputs.Files
	for _, key := range slices.Sorted(maps.Keys(files)) {
		ref := files[key]
		if !isRead(key) || !localinput.Is(ref) {
			continue
		}
		if changed, ok := in.changed(ctx, ref); ok {
			changed.Key, changed.RunID, changed.Path = key, run.ID, ref.Key
			out = append(out, changed)
		}
	}
	return out
}

// All has all inputs looked at.
func All(string) bool { return true }

func (in Inputs) changed(ctx context.Context, ref events.Reference) (c Changed, ok bool) {
	if in.folder == nil || in.folder.StoreID() != ref.Store {
		return Changed{Why: ref.Key + " stayed on the machine of the run's data folder; it cannot be looked at from here"}, true
	}
	err := in.folder.Compare(ctx, ref)
	if changed, ok := errors.AsType[*localinput.ChangedError](err); ok {
		return Changed{Why: changed.Error(), Sure: true, Gone: changed.HaveSHA256 == ""}, true
	}
	if err != nil {
		return Changed{Why: fmt.Sprintf("%s cannot be read: %v", ref.Key, err)}, true
	}
	return c, false
}
