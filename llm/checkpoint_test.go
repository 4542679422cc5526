package llm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm"
)

// saved is a checkpoint folder of the tiny model.
func saved(t *testing.T, dtype string) string {
	t.Helper()
	m, err := llm.New(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir, dtype); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit replaces old by new in a file. Where lengths are equal, a safetensors
// header stays as long as it says.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), old) {
		t.Fatalf("%s has no %s", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(body), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenNamesTheBadTensor(t *testing.T) {
	t.Parallel()
	const weights = "model.safetensors"
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		tensor string
	}{
		"truncated": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, weights)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()-1); err != nil {
				t.Fatal(err)
			}
		}, ""}, // the file as a whole: its header says how long it is
		"header cut": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, weights), 40); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"missing": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, weights), "model.norm.weight", "model.masked_bias")
		}, "model.norm.weight"},
		"unknown": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, weights), "model.norm.weight", "model.form.weight")
		}, "model.form.weight"},
		"misshaped": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, weights), `"shape":[48,32]`, `"shape":[32,48]`)
		}, "model.embed_tokens.weight"},
		"unknown type": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, weights), `"dtype":"F32"`, `"dtype":"I32"`)
		}, "model.embed_tokens.weight"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := saved(t, "float32")
			c.damage(t, dir)
			_, err := llm.Open(dir)
			var bad *llm.CheckpointError
			if !errors.As(err, &bad) || bad.Tensor != c.tensor || !strings.HasPrefix(bad.File, dir) {
				t.Errorf("got %v, want a CheckpointError of tensor %q in %s", err, c.tensor, dir)
			}
		})
	}
}

func TestOpenReadsRotaryParameters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entry   string
		theta   float64
		unknown bool
	}{
		"old": {`"rope_theta": 500000`, 500000, false},
		"new": {`"rope_parameters": {"rope_type": "default", "rope_theta": 1000000}`, 1000000, false},
		"llama3": {`"rope_parameters": {"rope_type": "llama3", "rope_theta": 1000000, "factor": 8, "low_freq_factor": 1,
			"high_freq_factor": 4, "original_max_position_embeddings": 8192}`, 1000000, false},
		"scaled":  {`"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1000000}`, 0, true},
		"scaling": {`"rope_scaling": {"rope_type": "yarn"}`, 0, true},
		"window":  {`"use_sliding_window": true`, 10000, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := saved(t, "bfloat16")
			edit(t, filepath.Join(dir, "config.json"), `"rope_theta": 10000.0`, c.entry)
			m, err := llm.Open(dir)
			var unknown *llm.UnknownArchitectureError
			if errors.As(err, &unknown) != c.unknown || !c.unknown && err != nil {
				t.Fatalf("got %v", err)
			}
			if err == nil && m.Config().RopeTheta != c.theta {
				t.Errorf("theta %v, want %v", m.Config().RopeTheta, c.theta)
			}
		})
	}
}
