package inputs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/finetune/prepare"
	"github.com/tunebus/tunebus/services/inference"
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
}

// checker collects what is found. Data sets and models are opened side by side.
type checker struct {
	specification events.Specification
	files         map[string]string

	mu    sync.Mutex
	found Found
}

// Check opens every local data set and model of a specification. files are the paths
// on this machine, by the key that names each; keys that it does not have name ids of
// the Hub, which are left out. The faults have the order of the keys.
func Check(ctx context.Context, s events.Specification, files map[string]string) Found {
	c := &checker{specification: s, files: files}
	models := map[string]*token.Tokenizer{}
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
	slices.SortStableFunc(c.found.Faults, func(a, b structconf.Fault) int { return strings.Compare(a.Key, b.Key) })
	slices.SortStableFunc(c.found.Notes, func(a, b structconf.Fault) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(c.found.Warnings)
	return c.found
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Faults = append(c.found.Faults, structconf.Fault{Key: key, Value: strconv.Quote(value), Message: message})
}

func (c *checker) warn(warnings ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Warnings = append(c.found.Warnings, warnings...)
}

// model checks a model, and opens its tokenizer; nil if something is wrong with it.
func (c *checker) model(key, dir string) *token.Tokenizer {
	name := c.value(key)
	if err := checkFiles(dir, name); err != nil {
		c.fault(key, err)
		return nil
	}
	if c.builtin(key) {
		return c.weights(key, dir)
	}
	tok, err := Model(dir, name)
	if err != nil && !errors.Is(err, ErrNoTokenizer) && !errors.Is(err, token.ErrUnsupported) {
		c.fault(key, err)
	}
	return tok
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
func (c *checker) data(ctx context.Context, d Data, tok *token.Tokenizer) {
	set, err := d.Open(ctx)
	if err == nil {
		c.warn(set.Info().Warnings...)
		if tok != nil {
			err = d.render(ctx, set, tok)
		}
	}
	if err != nil && ctx.Err() == nil {
		c.fault(d.Key, err)
	}
}

// render renders the first rows.
func (d Data) render(ctx context.Context, set *dataset.Dataset, tok *token.Tokenizer) error {
	rows := 0
	if !d.IsTest() {
		for _, err := range prepare.New(tok, prepare.Config{FineTuner: d.Specification.FineTuner, Now: time.Now().UTC()}).Rows(ctx, set) {
			if rows++; err != nil || rows == renderedRows {
				return err
			}
		}
		return nil
	}
	for r, err := range set.Rows(ctx) {
		if err == nil {
			_, err = inference.Prompt(tok, d.Specification.Inferencer, time.Now().UTC(), r)
		}
		if rows++; err != nil || rows == renderedRows {
			return err
		}
	}
	return nil
}
