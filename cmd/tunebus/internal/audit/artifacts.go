package audit

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// mediaFolder is the media type of the manifest of a folder, whose files lie
// beside it.
const mediaFolder = "application/vnd.tunebus.folder+json"

// artifactAudit checks that each artifact that an event refers to exists with
// its digest, and that no other artifact exists.
type artifactAudit struct {
	*findings
	store      string
	objects    map[string]snapshot.Object
	referenced map[string]bool // keys
}

func (a artifactAudit) check(r *runHistory) {
	for ref, subject := range referencesOf(r) {
		a.referenced[ref.Key] = true
		if ref.MediaType == mediaFolder {
			a.referenced[path.Dir(ref.Key)+"/"] = true
		}
		object, ok := a.objects[ref.Key]
		switch {
		case ref.Store != a.store:
			a.add(Torn, ref.Key, "%s says that it lies in store %s", subject, ref.Store)
		case !ok:
			a.add(Lost, ref.Key, "%s refers to it", subject)
		case object.Size != ref.Size || object.SHA256 != ref.SHA256:
			a.add(Torn, ref.Key, "has %d bytes with SHA-256 %s; %s says %d and %s",
				object.Size, object.SHA256, subject, ref.Size, ref.SHA256)
		}
	}
}

// referencesOf returns the references in the facts of a run, each with the
// subject of the last fact that has it.
func referencesOf(r *runHistory) map[events.Reference]string {
	out := map[events.Reference]string{}
	add := func(f storedFact, refs ...*events.Reference) {
		for _, ref := range refs {
			if ref != nil {
				out[*ref] = f.Subject
			}
		}
	}
	for _, f := range r.facts {
		switch e := f.event.(type) {
		case events.PipelineAccepted:
			add(f, inputReferences(e.Inputs)...)
		case events.PhaseRequested:
			add(f, inputReferences(e.Inputs)...)
		case events.PhaseCompleted:
			for _, a := range e.Artifacts {
				add(f, &a.Reference)
			}
		}
	}
	return out
}

func inputReferences(in events.Inputs) []*events.Reference {
	refs := []*events.Reference{in.Model, in.Predictions, in.BaselinePredictions}
	for _, f := range in.Files {
		refs = append(refs, &f)
	}
	return refs
}

// checkUnreferenced reports the artifacts that no run refers to. Call it after
// [artifactAudit.check] of all runs.
func (a artifactAudit) checkUnreferenced() {
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		folder, name := path.Split(key)
		switch {
		case folder == "reservations/": // they lapse by themselves
		case strings.HasPrefix(folder, "users/"): // each says whose artifacts there are
		case a.referenced[folder] || folder == "content/": // a file of a folder: its name is its digest
			if sum := a.objects[key].SHA256; name != sum && !a.referenced[key] {
				a.add(Torn, key, "has SHA-256 %s", sum)
			}
		case !a.referenced[key]:
			a.add(Left, key, "is an artifact that no event refers to")
		}
	}
}
