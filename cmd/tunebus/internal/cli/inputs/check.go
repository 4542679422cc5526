package inputs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/finetune/prepare"
	questions "github.com/tunebus/tunebus/services/inference/inputs"
)

// renderedRows is how many rows of each data set are rendered, to find what the chat
// template refuses. The engine renders all of them.
const renderedRows = 100

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
	for _, faults := range []structconf.Faults{c.found.Faults, c.found.Notes, c.found.TooLarge} {
		slices.SortStableFunc(faults, func(a, b structconf.Fault) int { return strings.Compare(a.Key, b.Key) })
	}
	slices.Sort(c.found.Warnings)
	return c.found
}

// Faults is [Check] for a command that sends a run: what is wrong keeps it from that, and the
// services tell the rest.
func Faults(ctx context.Context, s events.Specification, files map[string]string) structconf.Faults {
	return Check(ctx, hostmemory.Machine(), s, files).Faults
}

// FaultsHere is [Faults] for a command whose own process does the run, so that a model has to
// fit into the memory of this machine.
func FaultsHere(ctx context.Context, s events.Specification, files map[string]string) structconf.Faults {
	found := Check(ctx, hostmemory.Machine(), s, files)
	return append(found.Faults, found.TooLarge...)
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

// data opens a data set, and renders its first rows if the model is known.
func (c *checker) data(ctx context.Context, d Data, by Renderer) {
	set, err := d.Open(ctx)
	if err == nil {
		c.warn(set.Info().Warnings...)
		if by.Tokenizer != nil {
			var beyond string
			beyond, err = d.render(ctx, set, by)
			if beyond != "" {
				c.warn(beyond)
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		c.fault(d.Key, err)
	}
}

// render renders the first rows. beyond tells of those that are longer than what the
// model was made for; empty: there are none.
func (d Data) render(ctx context.Context, set *dataset.Dataset, by Renderer) (beyond string, err error) {
	var rows, longer int64
	var text string
	if d.IsTest() {
		rows, longer, err = d.renderPrompts(ctx, set, by)
		text = questions.BeyondPositions(by.Positions)
	} else {
		p := prepare.New(by.Tokenizer, prepare.Config{FineTuner: d.Specification.FineTuner, Now: time.Now().UTC(), Positions: by.Positions})
		tally := p.Tally(set.Info(), d.Key)
		for r, err := range p.Rows(ctx, set) {
			if err != nil {
				return "", err
			}
			tally.Add(r)
			if rows++; rows == renderedRows {
				break
			}
		}
		longer, text = tally.Beyond()
		text = "rows " + text
	}
	if longer > 0 {
		beyond = fmt.Sprintf("%s: %d of the first %d %s", d.Key, longer, rows, text)
	}
	return beyond, err
}

// renderPrompts renders the first rows as inference does. It returns how many it
// rendered, and how many of them are longer than what the model was made for.
func (d Data) renderPrompts(ctx context.Context, set *dataset.Dataset, by Renderer) (rows, longer int64, err error) {
	s := d.Specification.Inferencer
	for r, err := range set.Rows(ctx) {
		var text string
		if err == nil {
			text, err = questions.Render(by.Tokenizer, s, time.Now().UTC(), r)
		}
		if err != nil {
			return rows, longer, err
		}
		if n := min(len(by.Tokenizer.Encode(text)), s.MaxSequenceLength); by.Positions > 0 && n > by.Positions {
			longer++
		}
		if rows++; rows == renderedRows {
			break
		}
	}
	return rows, longer, nil
}
