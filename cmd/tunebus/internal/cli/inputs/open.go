package inputs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/spec"
	trainingdata "github.com/tunebus/tunebus/services/finetune/inputs"
	questions "github.com/tunebus/tunebus/services/inference/inputs"
)

// The keys that name data sets.
const (
	Training   = "fine_tuner.training_data_id"
	Validation = "fine_tuner.validation_data_id"
	Testing    = "inferencer.testing_data_id"
)

// The keys that name models.
const (
	baseModel  = "fine_tuner.base_model_id"
	otherModel = "inferencer.model_id"
)

// Data is a data set that a key of a specification names.
type Data struct {
	Specification events.Specification
	Key           string
	// Path is the file or folder on this machine.
	Path string
}

// Open opens the data set as the engine of the phase will.
func (d Data) Open(ctx context.Context) (*dataset.Dataset, error) {
	src := spec.Source(d.Specification, d.Key)
	src.Path = d.Path
	if !src.Selection.IsZero() && filepath.Base(d.Path) == filepath.Base(src.Name) {
		src.Selection = source.Selection{} // a path that has a colon itself
	}
	return dataset.Open(ctx, src, d.want())
}

// Images are the files of images that the rows of data files name, by the key of each
// data file, relative to its folder. Only data of engines that see has some. A data
// set that cannot be read has none: what is wrong with it is told elsewhere.
func Images(ctx context.Context, s events.Specification, files map[string]string) map[string][]string {
	out := map[string][]string{}
	for _, key := range []string{Training, Validation, Testing} {
		path, ok := files[key]
		d := Data{Specification: s, Key: key, Path: path}
		if !ok || !d.want().Sees {
			continue
		}
		if set, err := d.Open(ctx); err == nil {
			if names, err := set.ImageFiles(); err == nil && len(names) > 0 {
				out[key] = names
			}
		}
	}
	return out
}

// want is what the engine of the phase reads.
func (d Data) want() dataset.Want {
	s := d.Specification
	if d.IsTest() {
		return questions.Want(s.Inferencer)
	}
	return trainingdata.Want(s.FineTuner)
}

// IsTest reports whether the data is a test set.
func (d Data) IsTest() bool { return d.Key == Testing }

// ModelKey is the key that names the model whose chat template renders the data.
func (d Data) ModelKey() string {
	if d.IsTest() && d.Specification.Inferencer.ModelID != "" {
		return otherModel
	}
	return baseModel
}

// ErrNoTokenizer says that a folder holds an adapter without a tokenizer. The one of
// its base model is meant.
var ErrNoTokenizer = errors.New("an adapter without a tokenizer")

// Renderer is what is needed of a model to render rows as it reads them.
type Renderer struct {
	// Tokenizer has the chat templates; nil if rows cannot be rendered.
	Tokenizer *token.Tokenizer
	// Positions is for how many tokens the model was made; 0: it is not known.
	Positions int
	// Notes say what is unusual about the texts that the chat templates write.
	Notes []string
}

// Model opens the tokenizer and the chat templates of a model folder. name is the
// folder as the person wrote it.
func Model(dir, name string) (Renderer, error) {
	if err := checkFolder(dir, name); err != nil {
		return Renderer{}, err
	}
	if exists(dir, "adapter_config.json") && !exists(dir, "tokenizer.json") {
		return Renderer{}, ErrNoTokenizer
	}
	if !exists(dir, "tokenizer.json") && llm.GGUF(dir) != "" {
		return Renderer{}, lacking(dir, name, "tokenizer.json")
	}
	tok, err := token.Open(dir)
	if err != nil {
		return Renderer{}, &modelError{strings.ReplaceAll(err.Error(), dir, name), err}
	}
	return Renderer{Tokenizer: tok, Positions: llm.Positions(dir), Notes: checkpoint.UnknownMarkers(tok)}, nil
}

// modelError is an error with the model's name as the person wrote it.
type modelError struct {
	text  string
	cause error
}

func (e *modelError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *modelError) Unwrap() error { return e.cause }

func exists(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// checkFolder returns the error of a path that is a file.
func checkFolder(dir, name string) error {
	info, err := os.Stat(dir)
	if err != nil || info.IsDir() {
		return nil
	}
	if llm.GGUF(dir) != "" {
		return fmt.Errorf("%s is a GGUF file, which tunebus does not read; %s", name, llm.InsteadOfGGUF)
	}
	return fmt.Errorf("%s is a file; a model is a folder with config.json, tokenizer.json and weights", name)
}

// lacking is the error of a folder without a file that every model has.
func lacking(dir, name, file string) error {
	if gguf := llm.GGUF(dir); gguf != "" {
		return fmt.Errorf("%s has the GGUF file %s and no %s; tunebus does not read GGUF: %s", name, gguf, file, llm.InsteadOfGGUF)
	}
	return fmt.Errorf("%s is no model: no %s is there", name, file)
}

// checkFiles returns the error of a path that is no folder of a model: without a
// configuration, or without weights of any kind.
func checkFiles(dir, name string) error {
	if err := checkFolder(dir, name); err != nil {
		return err
	}
	if !exists(dir, "adapter_config.json") && !exists(dir, "config.json") {
		return lacking(dir, name, "config.json")
	}
	for _, kind := range []string{"*.safetensors", "*.bin", "*.gguf", llm.IndexFile} {
		if found, err := fileglob.In(dir, kind); err != nil || len(found) > 0 {
			return nil
		}
	}
	_, err := llm.Inspect(dir)
	if unknown, ok := errors.AsType[*llm.UnknownArchitectureError](err); ok { // weights would not help
		return fmt.Errorf("%s: %w; and it has no weights", name, unknown)
	}
	return fmt.Errorf("%s has no weights: no file *.safetensors is there", name)
}
