package llm

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNF4: weights that bitsandbytes stored in four bits are those that it reads
// itself, bit by bit, with and without double quantisation.
func TestNF4(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"double", "single"} {
		dir := filepath.Join("testdata", "nf4", kind)
		var want map[string][]float32
		body, err := os.ReadFile(filepath.Join(dir, "golden.json"))
		if err == nil {
			err = json.Unmarshal(body, &want)
		}
		if err != nil || len(want) != 6 { // all projections but v_proj
			t.Fatalf("%d weights, %v", len(want), err)
		}
		report, err := Inspect(dir)
		if err != nil || report.Quantised != len(want) {
			t.Errorf("%s: %+v, %v", kind, report, err)
		}
		m, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range want {
			data := m.byName[name].values()
			apart := max(1, len(data)/300)
			for i, v := range values {
				if data[i*apart] != v {
					t.Fatalf("%s: %s[%d] is %v, bitsandbytes has %v", kind, name, i*apart, data[i*apart], v)
				}
			}
		}
	}
}

// TestBadNF4: what is missing or wrong of a weight in four bits is named.
func TestBadNF4(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("testdata/nf4/double/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("testdata/nf4/double/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"no factors":    {`q_proj.weight.absmax"`, `q_proj.weight.absmix"`, "absmax of it is missing"},
		"no table":      {`q_proj.weight.quant_map"`, `q_proj.weight.quant_mop"`, "quant_m"},
		"another type":  {`"quant_type": "nf4"`, `"quant_type": "fp4"`, `quant_type is "fp4"`},
		"no block":      {`"blocksize": 64, "dtype"`, `"blocksize": 00, "dtype"`, "quant_state"},
		"small block":   {`"blocksize": 64, "dtype"`, `"blocksize": 32, "dtype"`, "blocks, with nested_blocksize 256"},
		"another shape": {`"shape": [64, 64]`, `"shape": [65, 64]`, "do not hold the shape [65 64]"},
		"endless shape": {`"shape": [64, 64]`, `"shape": [9e9, 9]`, "quant_state"},
		"no nested":     {`"nested_blocksize": 256`, `"nested_blocksize": -56`, "nested_blocksize -56"},
		"odd dtype":     {`"dtype": "bfloat16", "shape": [64, 64]`, `"dtype": "bfloat17", "shape": [64, 64]`, `dtype is "bfloat17"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			body := strings.Replace(string(whole), c.old, c.new, 1)
			if body == string(whole) {
				t.Fatal("nothing was changed")
			}
			if err := errors.Join(os.WriteFile(filepath.Join(dir, "model.safetensors"), []byte(body), 0o600), os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: %v, want %q", err, c.want)
			}
			if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Inspect: %v, want %q", err, c.want)
			}
		})
	}
}
