package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// The sizes of the model of a check. Its vocabulary is the bytes, and the special tokens
// behind them.
const (
	hidden, inner, layers, heads = 16, 32, 2, 2
	padID, startID, endID        = 256, 257, 258
	vocabulary                   = 259
)

const chatTemplate = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// smallModel makes the folder of a model that is whole, and knows nothing: a small Llama
// of random weights with a tokenizer of single bytes.
func smallModel(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	vocab := map[string]int{}
	next := rune(256)
	for b := range 256 { // the characters that stand for bytes in byte-level BPE
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		vocab[string(r)] = b
	}
	var added []map[string]any
	for i, token := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		added = append(added, map[string]any{
			"id": padID + i, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
		})
	}
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	files := map[string]any{
		"config.json": map[string]any{
			"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden,
			"intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
			"head_dim": hidden / heads, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": true,
			"attention_bias": false, "hidden_act": "silu", "initializer_range": 0.02, "torch_dtype": "float32",
			"bos_token_id": startID, "eos_token_id": endID, "pad_token_id": padID,
		},
		"generation_config.json": map[string]any{"eos_token_id": []int{endID}, "pad_token_id": padID, "do_sample": false},
		"tokenizer_config.json": map[string]any{
			"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": chatTemplate, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
			"model_max_length": 4096, "clean_up_tokenization_spaces": false, "add_prefix_space": false,
		},
		"tokenizer.json": map[string]any{
			"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
			"pre_tokenizer": level, "post_processor": nil, "decoder": level,
			"model": map[string]any{
				"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
				"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []string{},
			},
		},
	}
	var faults error
	for name, content := range files {
		body, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), append(body, '\n'), 0o600)
		}
		faults = errors.Join(faults, err)
	}
	return errors.Join(faults, writeWeights(filepath.Join(folder, "model.safetensors")))
}

// writeWeights writes the weights of the model, which are the same each time.
func writeWeights(path string) error {
	shapes := map[string][]int{"model.embed_tokens.weight": {vocabulary, hidden}, "model.norm.weight": {hidden}}
	for i := range layers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		for _, name := range []string{"q", "k", "v", "o"} {
			shapes[layer+"self_attn."+name+"_proj.weight"] = []int{hidden, hidden}
		}
		shapes[layer+"mlp.gate_proj.weight"], shapes[layer+"mlp.up_proj.weight"] = []int{inner, hidden}, []int{inner, hidden}
		shapes[layer+"mlp.down_proj.weight"] = []int{hidden, inner}
		shapes[layer+"input_layernorm.weight"], shapes[layer+"post_attention_layernorm.weight"] = []int{hidden}, []int{hidden}
	}
	type tensor struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	random := rand.New(rand.NewPCG(1, 2))
	var values []float32
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		shape, from := shapes[name], len(values)
		n := 1
		for _, size := range shape {
			n *= size
		}
		for range n {
			value := float32(1) // of a norm
			if len(shape) > 1 {
				value = float32(0.02 * random.NormFloat64())
			}
			values = append(values, value)
		}
		header[name] = tensor{"F32", shape, [2]int{4 * from, 4 * len(values)}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	head = append(head, bytes.Repeat([]byte(" "), (8-len(head)%8)%8)...)
	body := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	if body, err = binary.Append(body, binary.LittleEndian, values); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o600)
}
