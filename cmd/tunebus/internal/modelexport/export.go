package modelexport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/tunedmodel"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/merge"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelcard"
)

// Options say what is written.
type Options struct {
	// Merge merges an adapter into the weights of its base model.
	Merge bool
	// WithBase puts the base model beside an adapter.
	WithBase bool
	// Force writes into a folder that is not empty.
	Force bool
	// Inputs are the models and data sets that runs read where they lie. No export is
	// written into one.
	Inputs []string
	// DType is the type of merged or whole weights: "float32", "float16" or
	// "bfloat16". Default: the type that they have.
	DType string
	// ShardBytes is the most that a file with weights may hold; 0: 5 GB.
	ShardBytes int64
	// OnStage is told what is done next, and how many bytes that is, 0 if it is
	// not known.
	OnStage func(what string, bytes int64)
	// OnBytes is told how many bytes of the stage are done since it was told
	// last.
	OnBytes func(n int64)
}

// Result is what was written.
type Result struct {
	RunID  string         `json:"run_id"`
	Folder string         `json:"folder"` // absolute
	Kind   modelcard.Kind `json:"kind"`
	// Base is the base model as the folder names it.
	Base string `json:"base_model"`
	// Files are the paths below the folder, sorted.
	Files []string `json:"files"`
	Bytes int64    `json:"bytes"`
	// Notes say what to know, such as which files stay in the folder.
	Notes []string `json:"notes,omitempty"`
}

// NoBaseError says that an adapter's base model cannot be named.
type NoBaseError struct{ ID string }

func (e *NoBaseError) Error() string {
	return fmt.Sprintf("the base model %s came neither from the Hub nor from a folder that is on this machine as it was, "+
		"so the adapter could not name it; --merge writes one whole model, --with-base puts the base model beside the adapter", e.ID)
}

// Write writes the model to a folder.
func Write(ctx context.Context, from tunedmodel.Source, m tunedmodel.Model, dir string, o Options) (res Result, err error) {
	if err := withoutEffect(m.Run, o); err != nil {
		return res, err
	}
	to, err := findTarget(dir, m.Run, o)
	if err != nil {
		return res, err
	}
	// What it writes in any case; of the rest it is known later.
	if err := checkForeign(to.dir, []string{"README.md", "config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors"}); err != nil {
		return res, err
	}
	certain := []string{"README.md"}
	if o.Merge {
		certain = append(certain, "config.json")
	}
	if err := checkChanged(to.dir, certain); err != nil {
		return res, err
	}
	if err := to.begin(); err != nil {
		return res, err
	}
	defer func() { err = to.end(err) }()
	if o.OnStage == nil {
		o.OnStage = func(string, int64) {}
	}
	if o.OnBytes == nil {
		o.OnBytes = func(int64) {}
	}
	e := &export{
		options: o, from: from, model: m, target: to.dir, out: filepath.Join(to.scratch, "out"), tuned: filepath.Join(to.scratch, "tuned"), scratch: to.scratch,
		result: Result{RunID: m.Run.ID, Folder: to.dir},
	}
	if err := e.write(ctx); err != nil {
		return res, err
	}
	if e.result.Files, e.result.Bytes, err = list(e.out); err != nil {
		return res, err
	}
	stay, err := to.publish(e.out, e.result.Files, true)
	for _, name := range stay {
		e.result.Notes = append(e.result.Notes, staying(name))
	}
	return e.result, err
}

// export is one call of Write.
type export struct {
	options Options
	from    tunedmodel.Source
	model   tunedmodel.Model
	target  string // the folder that appears
	out     string // the folder in which it is written
	tuned   string // what fine-tuning stored
	scratch string
	result  Result
}

func (e *export) write(ctx context.Context) error {
	size := e.from.Size(ctx, e.model.Reference)
	e.options.OnStage("fetching the model", size)
	if err := e.from.Fetch(ctx, e.model.Reference, e.tuned); err != nil {
		return err
	}
	e.options.OnBytes(size)
	if llm.IsAdapter(e.tuned) {
		name, err := engine.AdapterBase(e.tuned)
		if err != nil {
			return err
		}
		e.model = e.model.BasedOn(name)
	}
	if err := os.Mkdir(e.out, 0o755); err != nil {
		return err
	}
	var card modelcard.Card
	var err error
	if llm.IsAdapter(e.tuned) {
		if card.AdapterConfig, err = os.ReadFile(filepath.Join(e.tuned, "adapter_config.json")); err != nil {
			return err
		}
	}
	switch {
	case !llm.IsAdapter(e.tuned):
		card.Kind = modelcard.Full
		err = e.writeFull(ctx)
	case e.options.Merge:
		card.Kind = modelcard.Merged
		err = e.writeMerged(ctx)
	default:
		card.Kind, card.BaseBeside = modelcard.Adapter, e.options.WithBase
		err = e.writeAdapter(ctx)
	}
	if err != nil {
		return err
	}
	card.Run, card.Base, card.BaseOnHub = e.model.Run, e.model.Base.ID, e.model.Base.HubID() != ""
	if card.Kind == modelcard.Adapter && !card.BaseBeside {
		card.Base = e.result.Base
	}
	if e.result.Base == "" {
		e.result.Base = e.model.Base.ID
	}
	e.result.Kind = card.Kind
	f, err := os.Create(filepath.Join(e.out, "README.md"))
	if err != nil {
		return err
	}
	return errors.Join(modelcard.Write(f, card), f.Close())
}

// writeFull writes a model of which all weights were trained.
func (e *export) writeFull(ctx context.Context) error {
	if err := onlyOfAdapters(e.options); err != nil {
		return err
	}
	return e.writeWeights(ctx, e.tuned, "")
}

// writeMerged writes the base model with the adapter merged into its weights.
func (e *export) writeMerged(ctx context.Context) error {
	e.options.OnStage("finding the base model", 0)
	base, err := e.from.BaseFolder(ctx, e.model, filepath.Join(e.scratch, "base"))
	if err != nil {
		return err
	}
	if err := e.writeWeights(ctx, base, e.tuned); err != nil {
		return err
	}
	// The tokenizer that was trained with wins over that of the base model.
	return copyBeside(e.tuned, e.out)
}

// writeWeights writes a whole model of the weights and files in a folder.
func (e *export) writeWeights(ctx context.Context, from, adapter string) error {
	size, err := merge.Bytes(from)
	if err != nil {
		return err
	}
	what := "writing the weights"
	if adapter != "" {
		what = "merging the adapter into the base model"
	}
	e.options.OnStage(what, size)
	if err := copyBeside(from, e.out); err != nil {
		return err
	}
	seen, err := llm.Inspect(from)
	if err != nil {
		return err
	}
	written, err := merge.Write(ctx, merge.Options{
		From: from, Adapter: adapter, To: e.out, DType: e.options.DType, ShardBytes: e.options.ShardBytes, OnBytes: e.options.OnBytes,
	})
	if err != nil {
		return err
	}
	if written.Rounded != "" {
		e.result.Notes = append(e.result.Notes, fmt.Sprintf("the merged weights are rounded to %s; --dtype float32 keeps them as the run used them", written.Rounded))
	}
	return editConfig(filepath.Join(e.out, "config.json"), e.options.DType, seen.Untied || written.Untied)
}

// writeAdapter writes the adapter, and the base model beside it if that is
// asked for.
func (e *export) writeAdapter(ctx context.Context) error {
	if err := onlyOfWholeModels(e.options); err != nil {
		return err
	}
	name, revision, err := e.baseName(ctx)
	if err != nil {
		return err
	}
	if err := copyAll(ctx, e.tuned, e.out, e.options.OnBytes); err != nil {
		return err
	}
	e.result.Base = name
	if revision != "" {
		e.result.Base += "@" + revision
	}
	return nameBase(filepath.Join(e.out, "adapter_config.json"), name, revision)
}

// baseName is the name under which the base model is found from any working
// folder.
func (e *export) baseName(ctx context.Context) (name, revision string, err error) {
	if e.options.WithBase {
		e.options.OnStage("finding the base model", 0)
		base, err := e.from.BaseFolder(ctx, e.model, filepath.Join(e.scratch, "base"))
		if err != nil {
			return "", "", err
		}
		_, size, err := list(base)
		if err != nil {
			return "", "", err
		}
		e.options.OnStage("copying the base model", size)
		return filepath.Join(e.target, baseFolder), "", copyAll(ctx, base, filepath.Join(e.out, baseFolder), e.options.OnBytes)
	}
	if id := e.model.Base.HubID(); id != "" {
		name, revision = tunedmodel.Revision(id)
		return name, revision, nil
	}
	name, err = e.from.LocalBase(ctx, e.model)
	if name == "" && err == nil {
		err = &NoBaseError{ID: e.model.Base.ID}
	}
	return name, "", err
}

// baseFolder is where the base model lies beside an adapter.
const baseFolder = "base"
