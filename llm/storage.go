package llm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	body, err := os.ReadFile(filepath.Join(dir, "config.json"))
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
	for pattern, e := range map[string]StorageError{
		"pytorch_model*.bin": {How: "in pickle files (%s)", Reads: "transformers reads them, and save_pretrained writes them as safetensors"},
		"*.gguf":             {How: "in a GGUF file (%s)", Reads: "llama.cpp reads it; the checkpoint that it was made from can be trained here"},
	} {
		if found, _ := fs.Glob(os.DirFS(dir), pattern); len(found) > 0 { // the pattern is well-formed
			return false, &StorageError{Dir: dir, How: fmt.Sprintf(e.How, filepath.Base(found[0])), Reads: e.Reads}
		}
	}
	return q != nil, nil
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
