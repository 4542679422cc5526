package servecmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
	"github.com/tunebus/tunebus/services/inference/fitting"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// opening opens the models of a command.
type opening struct {
	flags    *serveFlags
	session  *session.Session
	settings settings.Settings
	scratch  string

	host    hostmemory.Host
	caches  []cache             // of the models that are opened
	weights map[form]*llm.Model // base models
	based   map[string]bool     // names of base models that are served
	leftOut map[string]bool     // names of base models that an argument has, or two of them
	served  []*servedmodel.Model
	noted   []string
}

// fewTokens is of how many tokens a request has to be able to have room, so that a model is
// served without being told to.
const fewTokens = 512

// cache is the room for keys and values that a model may take.
type cache struct {
	of     llm.Config
	tokens int
}

// form is a folder of weights, and to how many bits they are brought; 0: none.
type form struct {
	dir  string
	bits int
}

// source is a model that is named, in folders of this machine.
type source struct {
	// arg is as it was written, and run the run that it means; empty: it is a folder, or an
	// id of the Hub.
	arg, run string

	names []string
	inputs.Places

	// what is what a person calls it in errors, and root what the list of models says.
	what, root string
	// base is the name of the base model; empty if it is a whole one. baseDigest is of what
	// the run uploaded for it.
	base, baseDigest string
	// systemPrompt is the one with which a run trained and asked its model, and bits those
	// of the weights that answered it.
	systemPrompt string
	bits         int
}

// isPath reports whether an argument is a folder or an id of the Hub, and no run: neither
// an id nor a name of a run has a slash.
func isPath(arg string) bool {
	return strings.ContainsAny(arg, `/`+string(os.PathSeparator)) || arg == "." || arg == ".."
}

// models opens all models that the arguments name, and the base models of adapters
// among them. Those that were opened are returned with an error, too.
func (o *opening) models(c *cobra.Command, args []string) ([]*servedmodel.Model, error) {
	o.weights, o.based = map[form]*llm.Model{}, map[string]bool{}
	stages := progress.OfStages(o.session.Console.Screen())
	defer stages.Close()
	sources, err := o.sources(c, stages, args)
	if err != nil {
		return nil, err
	}
	o.leftOut = leftOut(sources, o.flags.name, o.note)
	stages.Next("reading the model", 0)
	for _, from := range sources {
		if err := o.open(from); err != nil {
			return o.served, err
		}
	}
	return o.served, nil
}

// sources finds what the arguments name, in their order. Nothing is fetched before all
// names are known to mean one model each.
func (o *opening) sources(c *cobra.Command, stages *progress.Stages, args []string) ([]source, error) {
	sources := make([]source, len(args))
	var runs []string
	for i, arg := range args {
		if !isPath(arg) {
			runs = append(runs, arg)
			continue
		}
		var err error
		if sources[i], err = folderNames(arg); err != nil {
			return nil, err
		}
	}
	if err := checkNames(sources); err != nil {
		return nil, err
	}
	if len(runs) > 0 {
		err := o.session.WithDeployment(&o.flags.at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			return o.runs(ctx, server, stages, args, sources)
		})(c, runs)
		if err != nil {
			return nil, err
		}
	}
	for i := range sources {
		if sources[i].run == "" {
			if err := o.folder(c.Context(), stages, &sources[i]); err != nil {
				return nil, err
			}
		}
	}
	return sources, nil
}

// runs finds the models of the runs among the arguments.
func (o *opening) runs(ctx context.Context, server *session.Deployment, stages *progress.Stages, args []string, sources []source) error {
	for i, arg := range args {
		if isPath(arg) {
			continue
		}
		var err error
		if sources[i], err = runNames(ctx, server, arg); err != nil {
			return err
		}
	}
	if err := checkNames(sources); err != nil {
		return err
	}
	for i := range sources {
		if sources[i].run == "" {
			continue
		}
		if err := o.run(ctx, server, stages, &sources[i], filepath.Join(o.scratch, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

// run brings the model of a run to folders.
func (o *opening) run(ctx context.Context, server *session.Deployment, stages *progress.Stages, from *source, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	model, folders, err := runmodel.Fetch(ctx, o.session, server, stages, runmodel.Wanted{Run: from.run, For: "serve", Dir: dir})
	if err != nil {
		return orFolder(from.arg, err)
	}
	from.Places, from.systemPrompt = inputs.Places{Base: folders.Base, Tuned: folders.Tuned}, runmodel.SystemPrompt(model.Run)
	var said string
	if from.bits, said = runmodel.Bits(model.Run); said != "" {
		o.note(said)
	}
	if from.Adapter() != "" {
		from.base, from.baseDigest = model.Base.ID, model.Base.Upload.SHA256
	}
	return nil
}

// folder finds the files of a folder, or of a model that the Hub has.
func (o *opening) folder(ctx context.Context, stages *progress.Stages, from *source) error {
	dir, err := o.find(ctx, stages, from.arg)
	if err != nil {
		return err
	}
	from.Base = dir
	if name, err := engine.AdapterBase(dir); err != nil {
		return exit.Input(fmt.Errorf("%s: %w", from.arg, err))
	} else if name != "" {
		if from.Base, err = o.find(ctx, stages, name); err != nil {
			return fmt.Errorf("the base model of the adapter %s: %w", from.arg, err)
		}
		from.base, from.Tuned = name, dir
	}
	return nil
}

// find returns the folder of a model that a path or an id of the Hub names.
func (o *opening) find(ctx context.Context, stages *progress.Stages, name string) (string, error) {
	if here, err := isFolder(name); err != nil {
		return "", err
	} else if here {
		return name, nil
	}
	sources, err := service.Sources(o.settings, o.session.Logger())
	if err != nil {
		return "", err
	}
	stages.Next("fetching "+name+" from the Hub", 0)
	dir, err := sources.Hub.Model(ctx, name, "")
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return dir, nil
}

// open opens a model, and the base model below an adapter.
func (o *opening) open(from source) error {
	names := from.names
	if o.flags.name != "" {
		names = []string{o.flags.name}
	}
	report, err := checkpoint.Check(from.Weights(), from.Tokens())
	if err != nil {
		return exit.Input(fmt.Errorf("%s: %w", from.what, err))
	}
	o.note(report.Notes...)
	weights := form{from.Weights(), from.bits}
	base, ok := o.weights[weights]
	if !ok {
		if err := fitting.Check(o.host, from.what, llm.Answering{Dir: weights.dir, Adapter: from.Adapter(), Bits: weights.bits}, ""); err != nil {
			return exit.Input(err)
		}
		if base, err = llm.OpenQuantised(weights.dir, weights.bits); err != nil {
			return fmt.Errorf("%s: %w", from.what, err)
		}
		o.weights[weights] = base
	}
	if from.systemPrompt != "" {
		o.note(fmt.Sprintf("%s was trained and asked with a system prompt, and answers best if requests begin with it, as a message of the role system: %s",
			from.what, view.Printable(from.systemPrompt)))
	}
	m := servedmodel.Options{Root: from.root, Weights: base, Tokenizer: report.Tokenizer}
	if from.Adapter() != "" {
		m.Parent = from.base
		if m.Weights, err = llm.WithAdapter(base, from.Adapter()); err != nil {
			return fmt.Errorf("%s: %w", from.what, err)
		}
	}
	if err := o.serve(m, from, names); err != nil || from.Adapter() == "" || o.based[from.base] || o.leftOut[from.base] {
		return err
	}
	o.based[from.base] = true
	tok, err := token.Open(from.Base)
	if err != nil {
		return fmt.Errorf("the base model of %s: %w", from.what, err)
	}
	return o.serve(servedmodel.Options{Root: from.base, Weights: base, Tokenizer: tok, Lazy: true}, from, []string{from.base})
}

// serve adds a model under its names.
func (o *opening) serve(m servedmodel.Options, from source, names []string) error {
	m.Names = names
	var err error
	if m.Defaults, err = servedmodel.DefaultsOf(from.Weights()); err != nil {
		return err
	}
	if said := m.Defaults.Said(); said != "" && !m.Lazy { // one below an adapter has those of the adapter
		o.note(fmt.Sprintf("by its generation_config.json, a request to %s that says nothing else has %s", m.Names[0], said))
	}
	if m.MaxLength, err = o.length(m.Names[0], m.Weights.Config().Positions()); err != nil {
		return err
	}
	const usual = 2048
	m.Parallel = o.flags.parallel
	if m.CacheTokens = o.flags.cacheTokens; m.CacheTokens == 0 {
		m.CacheTokens = max(m.MaxLength, m.Parallel*min(m.MaxLength, usual))
	}
	if m.CacheTokens < m.MaxLength {
		return exit.Input(fmt.Errorf("--cache-tokens %d: one request of %s may have %d tokens; raise it, or lower --max-sequence-length", m.CacheTokens, m.Names[0], m.MaxLength))
	}
	if err := o.fits(&m); err != nil {
		return err
	}
	o.served = append(o.served, servedmodel.New(m))
	return nil
}

// fits has the cache of a model fit into the memory that is left beside those of the models
// before it, where its longest requests have to be shorter for that, too. What a flag says is
// not changed.
func (o *opening) fits(m *servedmodel.Options) error {
	of := m.Weights.Config()
	left, known := fitting.LeftOn(o.host)
	for _, other := range o.caches {
		left = left.Without(other.of, other.tokens)
	}
	switch fit := left.Tokens(of); {
	case !known || m.CacheTokens <= fit:
	case o.flags.cacheTokens == 0 && o.flags.maxLength == 0 && fit < m.MaxLength && fit >= fewTokens:
		o.note(fmt.Sprintf("a request of %s may have %d tokens, and not %d: %s has room for the keys and values of so many (%s)",
			m.Names[0], fit, m.MaxLength, left.Of, hostmemory.Size(left.Bytes)))
		m.MaxLength, m.CacheTokens = fit, fit
	case fit < m.MaxLength:
		return exit.Input(fmt.Errorf("one request of %s may have %d tokens, and %s has room for the keys and values of %d (%s); lower --max-sequence-length",
			m.Names[0], m.MaxLength, left.Of, fit, hostmemory.Size(left.Bytes)))
	case o.flags.cacheTokens > 0:
		return exit.Input(fmt.Errorf("--cache-tokens %d: %s has room for the keys and values of %d tokens of %s (%s); lower it", m.CacheTokens, left.Of, fit, m.Names[0], hostmemory.Size(left.Bytes)))
	default:
		o.note(fmt.Sprintf("%s has room for the keys and values of %d tokens of %s (%s), all requests together, and not for 2048 of each of %d; further requests wait",
			left.Of, fit, m.Names[0], hostmemory.Size(left.Bytes), m.Parallel))
		m.CacheTokens = fit
	}
	o.caches = append(o.caches, cache{of, m.CacheTokens})
	return nil
}

// length is how many tokens a prompt and its answer may have together. positions is for
// how many the model was made; 0: its files do not say.
func (o *opening) length(name string, positions int) (int, error) {
	const otherwise = 4096
	switch n := o.flags.maxLength; {
	case n > 0 && positions > 0 && n > positions:
		return 0, exit.Input(fmt.Errorf("--max-sequence-length %d: %s was made for %d tokens (max_position_embeddings in its config.json)", n, name, positions))
	case n > 0:
		return n, nil
	case positions > 0:
		return positions, nil
	}
	o.note(fmt.Sprintf("the files of %s do not say for how many tokens it was made; a prompt and its answer may have %d; --max-sequence-length says another number", name, otherwise))
	return otherwise, nil
}

// note says something once.
func (o *opening) note(notes ...string) {
	for _, n := range notes {
		if !slices.Contains(o.noted, n) {
			o.noted = append(o.noted, n)
			o.session.Console.Say("note: %s", n)
		}
	}
}
