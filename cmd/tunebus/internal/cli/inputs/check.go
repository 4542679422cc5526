package inputs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Found is what was found in the inputs of a specification, by key.
type Found struct {
	Faults structconf.Faults
	// Notes say what is unusual, and what is done about it.
	Notes structconf.Faults
	// Warnings name rows that are left out or cut, if they are many.
	Warnings []string
	// TooLarge are models that the machine has no memory for.
	TooLarge structconf.Faults
}

// checker collects what is found. Data sets and models are opened side by side.
type checker struct {
	host          hostmemory.Host
	specification events.Specification
	files         map[string]string

	mu    sync.Mutex
	found Found
}

// Check opens every local data set and model of a specification. files are the paths
// on this machine, by the key that names each; keys that it does not have name ids of
// the Hub, which are left out. host is where the run would be done. The faults have the order
// of the keys.
func Check(ctx context.Context, host hostmemory.Host, s events.Specification, files map[string]string) Found {
	c := &checker{host: host, specification: s, files: files}
	models := map[string]Renderer{}
	for _, key := range []string{baseModel, otherModel} {
		if dir, ok := files[key]; ok {
			models[key] = c.model(key, dir)
		}
	}
	var all sync.WaitGroup
	for _, key := range []string{Training, Validation, Testing} {
		if path, ok := files[key]; ok {
			d := Data{Specification: s, Key: key, Path: path}
			all.Go(func() { c.data(ctx, d, models[d.ModelKey()]) })
		}
	}
	all.Wait()
	c.add(nil, shared(s, files))
	for _, faults := range []structconf.Faults{c.found.Faults, c.found.Notes, c.found.TooLarge} {
		slices.SortStableFunc(faults, func(a, b structconf.Fault) int { return strings.Compare(a.Key, b.Key) })
	}
	slices.Sort(c.found.Warnings)
	return c.found
}

// Faults is [Check] for a command that sends a run: what is wrong keeps it from that, the notes
// are said before, and the services tell the rest.
func Faults(ctx context.Context, s events.Specification, files map[string]string) (faults, notes structconf.Faults) {
	found := Check(ctx, hostmemory.Machine(), s, files)
	return found.Faults, found.Notes
}

// FaultsHere is [Faults] for a command whose own process does the run, so that a model has to
// fit into the memory of this machine.
func FaultsHere(ctx context.Context, s events.Specification, files map[string]string) (faults, notes structconf.Faults) {
	found := Check(ctx, hostmemory.Machine(), s, files)
	return append(found.Faults, found.TooLarge...), found.Notes
}

// value is a key as the person wrote it.
func (c *checker) value(key string) string { return spec.Value(c.specification, key) }

// fault adds the error of what a key names. The key and its value stand before the
// message, so they are not repeated in it.
func (c *checker) fault(key string, err error) {
	value, message := c.value(key), strings.TrimPrefix(err.Error(), key+": ")
	for strings.HasPrefix(message, value+": ") {
		message = strings.TrimPrefix(message, value+": ")
	}
	if !strings.HasPrefix(value, "{") { // a table stands as it is
		value = strconv.Quote(value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Faults = append(c.found.Faults, structconf.Fault{Key: key, Value: value, Message: message})
}

func (c *checker) warn(warnings ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Warnings = append(c.found.Warnings, warnings...)
}

// model checks a model, and opens its tokenizer if nothing is wrong with it.
func (c *checker) model(key, dir string) Renderer {
	name := c.value(key)
	if err := checkFiles(dir, name); err != nil {
		c.fault(key, err)
		return Renderer{}
	}
	if c.builtin(key) {
		return c.weights(key, dir)
	}
	renderer, err := Model(dir, name)
	if err != nil && !errors.Is(err, ErrNoTokenizer) && !errors.Is(err, token.ErrUnsupported) {
		c.fault(key, err)
	}
	renderer.Positions = 0 // other engines know what they do with longer rows
	return renderer
}

// builtin reports whether the built-in engine works with the model of a key. Other
// engines know other models.
func (c *checker) builtin(key string) bool {
	s := c.specification
	return slices.ContainsFunc(spec.Plan(s), func(step events.Step) bool {
		switch step.Phase {
		case events.Finetune:
			return s.FineTuner.Engine == spec.Builtin && key == baseModel
		case events.Inference:
			return s.Inferencer.Engine == spec.Builtin && (key == otherModel || s.Inferencer.ModelID == "")
		}
		return false
	})
}
