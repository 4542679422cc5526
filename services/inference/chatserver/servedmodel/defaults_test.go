package servedmodel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// TestDefaults: what a model recommends is read, and refused if it means nothing.
func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if d, err := servedmodel.DefaultsOf(dir); err != nil || d.Temperature != nil {
		t.Errorf("without a file: %+v, %v", d, err)
	}
	write := func(body string) {
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"do_sample": true, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}`)
	d, err := servedmodel.DefaultsOf(dir)
	if err != nil || *d.Temperature != 0.7 || *d.TopK != 20 || *d.TopP != 0.8 || *d.RepetitionPenalty != 1.05 || d.MinP != nil {
		t.Errorf("%+v, %v", d, err)
	}
	if said := d.Said(); said != "temperature 0.7, top_k 20, top_p 0.8, repetition_penalty 1.05" {
		t.Errorf("it is said as %q", said)
	}
	for _, body := range []string{`{"do_sample": false}`, `{"do_sample": false, "temperature": 0.7}`} {
		write(body)
		if d, err := servedmodel.DefaultsOf(dir); err != nil || d.Temperature == nil || *d.Temperature != 0 || d.Said() != "temperature 0 (always the likeliest token)" {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, body := range []string{`{}`, `{"do_sample": true}`, `{"do_sample": null}`} {
		write(body)
		if d, err := servedmodel.DefaultsOf(dir); err != nil || d.Temperature != nil || d.Said() != "" {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	for _, body := range []string{`{`, `{"do_sample": "no"}`, `{"temperature": -1}`, `{"top_p": 5}`, `{"top_k": "all"}`} {
		write(body)
		if _, err := servedmodel.DefaultsOf(dir); err == nil || !strings.Contains(err.Error(), "generation_config.json") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
