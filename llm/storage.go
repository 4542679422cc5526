package llm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// StorageError says that the weights of a checkpoint are stored in a way that
// the engine does not read.
type StorageError struct {
	// Dir is the folder of the checkpoint.
	Dir string
	// How is the way of storage, Reads what can read it.
	How, Reads string
}

func (e *StorageError) Error() string {
	return fmt.Sprintf("checkpoint %s: its weights are %s, and the built-in engine reads float32, float16, bfloat16 and nf4 of bitsandbytes in files of safetensors; %s", e.Dir, e.How, e.Reads)
}

// quantisation is what config.json says of quantised weights.
type quantisation struct {
	Method   string `json:"quant_method"`
	Load4bit bool   `json:"load_in_4bit"`
	Load8bit bool   `json:"load_in_8bit"`
	Bits     int    `json:"bits"`
	Type4bit string `json:"bnb_4bit_quant_type"`
}

// readable reports whether the engine reads such weights.
func (q quantisation) readable() bool {
	return (q.Method == "bitsandbytes" || q.Method == "") && q.Load4bit && q.Type4bit == "nf4"
}

// checkStorage names weights that are quantised, or stored in other files than
// the engine reads. claimed says that config.json has the weights in nf4.
func checkStorage(dir string) (claimed bool, err error) {
	body, err := regularfile.Read(filepath.Join(dir, "config.json"))
	if err != nil {
		return false, nil // said elsewhere
	}
	var c struct {
		Quantisation json.RawMessage `json:"quantization_config"`
	}
	var q *quantisation // nil: the weights are as they are
	if json.Unmarshal(body, &c) == nil && len(c.Quantisation) > 0 {
		if err := json.Unmarshal(c.Quantisation, &q); err != nil {
			return false, fmt.Errorf("read %s: quantization_config says nothing that can be read: want a table such as {\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true}",
				filepath.Join(dir, "config.json"))
		}
	}
	if q != nil && !q.readable() {
		how, reads := q.name()
		return false, &StorageError{Dir: dir, How: how, Reads: reads + "; the checkpoint that they were made from can be trained here"}
	}
	if exists(filepath.Join(dir, WholeFile)) || exists(filepath.Join(dir, IndexFile)) {
		return q != nil, nil
	}
	if found, _ := fs.Glob(os.DirFS(dir), "pytorch_model*.bin"); len(found) > 0 { // the pattern is well-formed
		return false, &StorageError{Dir: dir, How: fmt.Sprintf("in pickle files (%s)", filepath.Base(found[0])), Reads: "transformers reads them, and save_pretrained writes them as safetensors"}
	}
	return q != nil, checkGGUF(dir)
}

// checkGGUF names the GGUF file that a folder has.
func checkGGUF(dir string) error {
	name := GGUF(dir)
	if name == "" {
		return nil
	}
	return &StorageError{Dir: dir, How: "in a GGUF file (" + name + ")", Reads: "llama.cpp reads it; " + InsteadOfGGUF}
}

// InsteadOfGGUF says what to do with a model that is a GGUF file.
const InsteadOfGGUF = "name the checkpoint that it was made from, a folder or an id of the Hub with config.json, tokenizer.json and weights in safetensors"

// GGUF returns the name of the GGUF file that a path is, or that lies in the folder that
// it is; empty if there is none. A GGUF file has a model with its tokenizer, in a form
// that nothing here reads.
func GGUF(path string) string {
	const ending = ".gguf"
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		if strings.EqualFold(filepath.Ext(path), ending) {
			return filepath.Base(path)
		}
		return ""
	}
	entries, _ := os.ReadDir(path) // what cannot be read is said elsewhere
	for _, e := range entries {
		if !e.IsDir() && strings.EqualFold(filepath.Ext(e.Name()), ending) {
			return e.Name()
		}
	}
	return ""
}

// name names the method, and what reads such weights.
func (q quantisation) name() (how, reads string) {
	switch q.Method {
	case "bitsandbytes", "":
		bits := map[bool]int{true: 4, false: 8}[q.Load4bit || !q.Load8bit && q.Bits != 8]
		return fmt.Sprintf("quantised to %d bits (bitsandbytes)", bits), "transformers with the package bitsandbytes reads them, and vLLM"
	case "gptq":
		return fmt.Sprintf("quantised to %d bits (GPTQ)", cmp.Or(q.Bits, 4)), "vLLM reads them, and transformers with the package gptqmodel"
	case "awq":
		return fmt.Sprintf("quantised to %d bits (AWQ)", cmp.Or(q.Bits, 4)), "vLLM reads them, and transformers with the package gptqmodel"
	case "fp8", "fbgemm_fp8":
		return "quantised to 8 bits (" + q.Method + ")", "vLLM and transformers read them on a GPU"
	case "compressed-tensors":
		return "quantised (compressed-tensors)", "vLLM reads them, and transformers with the package compressed-tensors"
	}
	return fmt.Sprintf("quantised (%s)", q.Method), "vLLM or transformers may read them"
}
