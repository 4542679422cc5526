// Package verify checks what a trainer made: its result, its steps, and that it left the
// base model alone.
package verify

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/safetensors"
	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

const (
	wholeConfig    = "config.json"
	adapterConfig  = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
)

// Model returns why the model that a trainer wrote cannot be used. A model of which
// the built-in engine knows the family has to be one that it opens; of any other one the
// files have to be whole and their values numbers. each is called now and then.
func Model(ctx context.Context, folder string, base inputs.Base, each func()) error {
	weights, err := fileglob.In(folder, "*.safetensors")
	if err != nil {
		return err
	}
	var fault error
	if isWhole(folder) {
		fault = checkWhole(folder, base)
	} else {
		weights = []string{filepath.Join(folder, adapterWeights)}
		fault = checkAdapter(folder, base)
	}
	if fault != nil {
		return inFolder(fault, folder)
	}
	slices.Sort(weights)
	for _, path := range weights {
		if err := checkTensors(ctx, path, each); err != nil {
			return err
		}
	}
	return nil
}

// inFolder is an error whose text names files as they are called in their folder.
func inFolder(err error, folder string) error {
	return errors.New(strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), ""))
}

// isWhole reports whether the folder of a result has a whole model and no adapter.
func isWhole(folder string) bool {
	config, err := os.Stat(filepath.Join(folder, wholeConfig))
	found, _ := fileglob.In(folder, "*.safetensors") // the pattern is well-formed
	return err == nil && config.Mode().IsRegular() && len(found) > 0
}

// checkWhole checks the configuration of a whole model, its shards, and the tensors that
// the configuration asks for.
func checkWhole(folder string, base inputs.Base) error {
	config, err := readObject(folder, wholeConfig)
	if err != nil {
		return err
	}
	if err := checkShards(folder); err != nil {
		return err
	}
	_, unknown := checkpoint.Check(base.Weights, base.Tokens)
	of, err := readObject(base.Weights, wholeConfig)
	if unknown != nil || err != nil || string(of["model_type"]) != string(config["model_type"]) {
		return nil // the built-in engine does not know it
	}
	tokens := folder
	if _, err := os.Stat(filepath.Join(folder, "tokenizer.json")); err != nil {
		tokens = base.Tokens
	}
	_, err = checkpoint.Check(folder, tokens)
	return damage(err)
}

// checkAdapter checks the configuration of an adapter, and where the built-in engine
// knows the model and has the adapter's options, its tensors by those of the model.
func checkAdapter(folder string, base inputs.Base) error {
	config, err := readObject(folder, adapterConfig)
	if err != nil {
		return err
	}
	var kind string
	if err := json.Unmarshal(config["peft_type"], &kind); err != nil || kind == "" {
		return fmt.Errorf("%s has no peft_type, so nobody knows what kind of adapter it is", adapterConfig)
	}
	seen, err := llm.Inspect(base.Weights)
	if err != nil {
		return nil //nolint:nilerr // the built-in engine does not know the base model
	}
	return damage(llm.InspectAdapter(folder, seen.Config))
}

// damage are the faults of an error that are about tensors, or about tokens without an
// embedding. The others say that the built-in engine lacks something.
func damage(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var found []error
		for _, e := range joined.Unwrap() {
			found = append(found, damage(e))
		}
		return errors.Join(found...)
	}
	if of, ok := errors.AsType[*llm.CheckpointError](err); ok {
		if at := of.Tensor; strings.HasSuffix(at, ".embed_tokens.weight") || strings.HasSuffix(at, ".lm_head.weight") {
			return nil // PEFT stores them beside an adapter where tokens were added
		}
		return err
	}
	if _, ok := errors.AsType[*checkpoint.VocabularyError](err); ok {
		return err
	}
	return nil
}

// readObject reads a file that has to hold a JSON object.
func readObject(folder, name string) (map[string]json.RawMessage, error) {
	body, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("%s is no JSON object: %w", name, err)
	}
	return out, nil
}

// checkShards checks that each shard of the index is there, and has its tensors.
func checkShards(folder string) error {
	if _, err := os.Stat(filepath.Join(folder, llm.IndexFile)); errors.Is(err, fs.ErrNotExist) || llm.HasBoth(folder) {
		return nil
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	body, err := os.ReadFile(filepath.Join(folder, llm.IndexFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return fmt.Errorf("%s: %w", llm.IndexFile, err)
	}
	files, err := llm.WeightFiles(folder) // local ones alone
	if err != nil {
		return err
	}
	for _, path := range files {
		f, err := safetensors.Open(path)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		for tensor, file := range index.WeightMap {
			if _, ok := f.Find(tensor); !ok && filepath.Join(folder, file) == path {
				err = fmt.Errorf("%s: tensor %s is missing, which %s says it has", file, tensor, llm.IndexFile)
			}
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// checkTensors checks a file of weights: its header, the lengths of its tensors, and
// that their values are numbers.
func checkTensors(ctx context.Context, path string, each func()) (err error) {
	name := filepath.Base(path)
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if len(f.Tensors()) == 0 {
		return fmt.Errorf("%s has no tensor", name)
	}
	buffer := make([]byte, 1<<20)
	for _, t := range f.Tensors() {
		if err := checkLength(t); err != nil {
			return fmt.Errorf("%s: tensor %s: %w", name, t.Name, err)
		}
		values, err := f.Raw(t)
		if err != nil {
			return fmt.Errorf("%s: tensor %s: %w", name, t.Name, err)
		}
		if err := checkNumbers(ctx, values, t.DType, buffer, each); err != nil {
			return fmt.Errorf("%s: tensor %s: %w", name, t.Name, err)
		}
	}
	return nil
}

// checkLength compares the length of a tensor with its shape, where a value of its type
// has whole bytes.
func checkLength(t safetensors.Tensor) error {
	width := map[string]int64{
		"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
		"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
	}[t.DType]
	size, wrong := int64(1), false
	for _, d := range t.Shape {
		wrong = wrong || d < 0 || d > 0 && size > math.MaxInt64/8/int64(d)
		if !wrong {
			size *= int64(d)
		}
	}
	if wrong || width > 0 && size*width != t.Bytes {
		return fmt.Errorf("%d bytes do not hold its shape %v of %s", t.Bytes, t.Shape, t.DType)
	}
	return nil
}

// checkNumbers reads the values of a tensor, and returns the error of the first one that
// is NaN or infinite: its exponent has ones alone.
func checkNumbers(ctx context.Context, values io.Reader, dtype string, buffer []byte, each func()) error {
	var width int64
	var infinite func(value []byte) bool
	switch dtype {
	case safetensors.F32:
		width, infinite = 4, func(v []byte) bool { return binary.LittleEndian.Uint32(v)&0x7f800000 == 0x7f800000 }
	case safetensors.F16:
		width, infinite = 2, func(v []byte) bool { return binary.LittleEndian.Uint16(v)&0x7c00 == 0x7c00 }
	case safetensors.BF16:
		width, infinite = 2, func(v []byte) bool { return binary.LittleEndian.Uint16(v)&0x7f80 == 0x7f80 }
	default:
		return nil
	}
	for at := int64(1); ; {
		n, err := io.ReadFull(values, buffer)
		for rest := buffer[:n]; int64(len(rest)) >= width; rest = rest[width:] {
			if infinite(rest) {
				return fmt.Errorf("value %d is NaN or infinite, so that the model cannot be used", at)
			}
			at++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		each()
	}
}
