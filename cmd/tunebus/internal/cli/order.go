package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// order is a run that a person asks for.
type order struct {
	id            string
	labels        map[string]string
	specification events.Specification
	// repeats is the run that is repeated, from a phase on that intake chooses
	// if from is empty. changes, as JSON, are then all that is said about the
	// specification.
	repeats string
	from    events.Phase
	changes json.RawMessage
	// files are the local files that the run needs, by the key that names
	// each.
	files map[string]string
	// again is the command that asks for the same once more.
	again string
}

// order reads and checks everything that a person says about a run; all
// faults of it come at once.
func (q *asked) order(c *cobra.Command) (order, error) {
	s, faults, err := q.read(c)
	if err != nil {
		return order{}, err
	}
	o := order{specification: s, again: q.again(c)}
	return o, faulty(append(faults, q.fill(&o, read(s))...))
}

// repetition reads and checks what a person says about a run that repeats
// another one.
func (q *asked) repetition(c *cobra.Command, run string, from events.Phase) (order, error) {
	o := order{repeats: run, from: from, again: "tunebus rerun " + run}
	tree, faults, err := q.tree(c)
	if err != nil {
		return o, err
	}
	var says events.Specification // and nothing about the other keys
	faults = append(faults, structconf.Decode(&says, tree)...)
	if o.changes, err = json.Marshal(tree.Sections); err != nil {
		return o, bad(fmt.Errorf("changes to run %s: %w", run, err))
	}
	return o, faulty(append(faults, q.fill(&o, slices.DeleteFunc(spec.Paths(says), func(p spec.Path) bool {
		// What is not repeated reads nothing.
		return slices.Index(events.Phases(), p.Phase) < slices.Index(events.Phases(), from)
	}))...))
}

// fill adds what is said beside the specification, and the local files that
// the keys of paths name.
func (q *asked) fill(o *order, paths []spec.Path) structconf.Faults {
	var faults structconf.Faults
	if o.id = q.runID; o.id == "" {
		o.id = ulid.Make().String()
	} else if !events.ValidToken(o.id) {
		faults = append(faults, structconf.Fault{Key: "--run-id", Value: o.id, Message: `a run id has 1 to 64 letters, digits, "_" and "-"`})
	}
	for _, l := range q.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			faults = append(faults, structconf.Fault{Key: "--label", Value: l, Message: "want name=value"})
			continue
		}
		if o.labels == nil {
			o.labels = map[string]string{}
		}
		o.labels[name] = value
	}
	var more structconf.Faults
	o.files, more = q.uploads(paths)
	return append(faults, more...)
}

// withoutSecrets wants none of the secrets of the settings in what would be
// stored for everybody to read. Nothing that is too short to be one by intent
// counts.
func (o order) withoutSecrets(cfg settings.Settings) error {
	const short = 8
	says := map[string]string{"--set": string(o.changes)}
	for _, v := range structconf.Values(o.specification) {
		says[v.Section+"."+v.Name] = v.Text
	}
	for name, value := range o.labels {
		says["--label "+name] = value
	}
	var faults structconf.Faults
	secrets := structconf.Secrets(cfg)
	for _, key := range slices.Sorted(maps.Keys(says)) {
		for _, name := range slices.Sorted(maps.Keys(secrets)) {
			if s := secrets[name]; len(s) >= short && strings.Contains(says[key], s) {
				faults = append(faults, structconf.Fault{Key: key, Message: "holds the secret " + name + "; a request is stored for everybody to read"})
			}
		}
	}
	return faulty(faults)
}

// again is the command with its files. What else was given may hold a key,
// and a line on the screen is the wrong place for one.
func (q *asked) again(c *cobra.Command) string {
	out := c.CommandPath()
	for _, f := range q.files {
		if strings.ContainsAny(f, " '\"$\\") {
			f = "'" + strings.ReplaceAll(f, "'", `'\''`) + "'"
		}
		out += " --config " + f
	}
	return out
}

// place uploads the files and publishes the request. The message's sequence
// is where a rejection would stand.
func (o order) place(ctx context.Context, b *conn.Conn, store *artifact.Store) (codec.Message, error) {
	refs, err := upload(ctx, store, o.id, o.files)
	if err != nil {
		return codec.Message{}, err
	}
	raw := o.changes
	if o.repeats == "" {
		if raw, err = json.Marshal(o.specification); err != nil {
			return codec.Message{}, fmt.Errorf("request: %w", err)
		}
	}
	return journal.New(b).Publish(ctx, events.PipelineRequested{
		RunID: o.id, Specification: raw, Labels: o.labels, Inputs: inputs(refs), RerunOf: o.repeats, From: o.from,
	}, journal.Fence{})
}
