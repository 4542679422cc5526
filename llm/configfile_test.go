package llm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestDecimals: a saved configuration has a point where transformers wants one, none
// where it wants a whole number, and is read back as it was.
func TestDecimals(t *testing.T) {
	t.Parallel()
	scores, logits := 50.0, 30.0
	cfg := Config{
		ModelType: "gemma2", VocabSize: 32, HiddenSize: 16, IntermediateSize: 24, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 8, MaxPositions: 64,
		TieWordEmbeddings: true, HiddenAct: geluTanh, QueryScalar: 8, ScoreCap: &scores, LogitCap: &logits, RMSNormEps: 1e-6,
	}
	m, err := New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(body, &entries); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"attn_logit_softcapping": "50.0", "final_logit_softcapping": "30.0", "rope_theta": "10000.0", "query_pre_attn_scalar": "8",
		"rms_norm_eps": "0.000001", "hidden_size": "16",
	} {
		if got := string(entries[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	again, err := Open(dir)
	if err != nil || again.Config().QueryScalar != 8 || *again.Config().LogitCap != 30 {
		t.Errorf("%+v, %v", again.Config(), err)
	}
	nested, err := withPoints([]byte(`{"rope_scaling": {"factor": 32, "original_max_position_embeddings": 8192}, "attn_logit_softcapping": null}`))
	if want := `{"attn_logit_softcapping":null,"rope_scaling":{"factor":32.0,"original_max_position_embeddings":8192}}`; err != nil || string(nested) != want {
		t.Errorf("%s, %v", nested, err)
	}
}
