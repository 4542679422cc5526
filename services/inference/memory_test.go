package inference_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/hostmemory/hostmemorytest"
	"github.com/tunebus/tunebus/services/inference"
)

// TestTooLittleMemory: a model whose weights do not fit is refused before a question is
// read, with what it needs, what there is, and what would help.
func TestTooLittleMemory(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	model, err := llm.Open(base)
	if err == nil {
		err = model.Save(filepath.Join(h.Root, "base"), "float32")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bytes int64
		want  string
	}{
		{9_000_000, "inferencer.load_in_4bit = true"},
		{1_000_000, "which is still too much: take a smaller model"},
	} {
		got := h.Run(t, inference.Engine{Host: hostmemorytest.Limited(t, c.bytes)}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.TestingDataID = "nothing.jsonl"
		})
		if got.Conclusion != events.Failure || got.Error == nil || got.Error.Code != "not_enough_memory" {
			t.Errorf("%d bytes: completed with %s, %+v", c.bytes, got.Conclusion, got.Error)
			continue
		}
		for _, want := range []string{`fine_tuner.base_model_id = "base" needs`, "(memory.max) has " + hostmemory.Size(c.bytes) + " left: weights", c.want} {
			if !strings.Contains(got.Error.Message, want) {
				t.Errorf("%d bytes: %q does not say %q", c.bytes, got.Error.Message, want)
			}
		}
	}
}

// TestLittleMemoryLeft has a model that fits, beside which there is little room for keys and values.
func TestLittleMemoryLeft(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	run := func(batch, tokens int) events.PhaseCompleted {
		t.Helper()
		return h.Run(t, inference.Engine{Host: hostmemorytest.Limited(t, 20_000_000)}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.BatchSize, s.Inferencer.MaxNewTokens = batch, tokens
		})
	}
	c := run(1024, 100)
	if c.Conclusion != events.Success || !slices.ContainsFunc(c.Notes, func(n string) bool {
		return strings.HasPrefix(n, "inferencer.batch_size = 1024: ") && strings.HasSuffix(n, "as many rows are answered at once as fit into 18 MB")
	}) {
		t.Errorf("completed with %s, %+v, notes %q", c.Conclusion, c.Error, c.Notes)
	}
	c = run(1, 1_000_000)
	if c.Error == nil || c.Error.Code != "not_enough_memory" || !strings.Contains(c.Error.Message, "(memory.max) has 18 MB left for them; lower inferencer.max_sequence_length") {
		t.Errorf("completed with %s, %+v", c.Conclusion, c.Error)
	}
}
