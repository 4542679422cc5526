package llm

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// FuzzReadTensors feeds damaged safetensors files: whatever they say, reading
// ends with values or an error, and no tensor is larger than its file.
func FuzzReadTensors(f *testing.F) {
	file := func(header string, data ...byte) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		return append(append(b, header...), data...)
	}
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 128, 63))
	f.Add(file(`{"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}}`, 128, 63, 0, 64))
	f.Add(file(`{"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, 0, 60))
	f.Add(file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}`, 0, 0, 0, 0))
	f.Add(file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775804,9223372036854775807]}}`))
	f.Add(file(`{"a":null}`))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		values := 0
		err := readTensors(path, func(_ string, shape []int) ([]float32, error) {
			n := 1
			for _, d := range shape {
				if d < 0 || d > len(body) {
					return nil, nil
				}
				if n *= d; n > len(body) {
					return nil, nil
				}
			}
			values += n
			return make([]float32, n), nil
		})
		if err == nil && 2*values > len(body)*8 {
			t.Errorf("%d values from %d bytes", values, len(body))
		}
	})
}

// FuzzConfig: whatever config.json says, reading it ends with a configuration
// whose layout can be listed, or an error.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		`{"model_type":"llama","vocab_size":9,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2}`,
		`{"model_type":"qwen3","vocab_size":9,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"rope_parameters":{"rope_type":"llama3"}}`,
		`{"model_type":"qwen2","num_attention_heads":4,"num_key_value_heads":3,"rope_scaling":{"type":"linear","factor":0}}`,
		`{"model_type":"llama","rope_scaling":"none"}`, `{"model_type":"gpt2"}`, `{"hidden_size":1e99}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), body, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(dir)
		if err != nil || c.Layers > 64 {
			return
		}
		for _, p := range layout(c) {
			if p.size() <= 0 {
				t.Errorf("%s has %d values", p.name, p.size())
			}
		}
		c.rotaries()
	})
}
