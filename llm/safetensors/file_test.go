package safetensors_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// TestWriteAndRead: values come back as they were written, those of a tensor of
// any kind as bytes, also where they are written in parts.
func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	large := make([]float32, 200_000)
	for i := range large {
		large[i] = float32(i % 256)
	}
	w, err := safetensors.Create(path, []safetensors.Tensor{
		{Name: "b", DType: safetensors.BF16, Shape: []int{400, 500}},
		{Name: "a", DType: "U8", Shape: []int{3}, Bytes: 3},
		{Name: "c", DType: safetensors.F32, Shape: nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(large, 70_000) {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Copy(strings.NewReader("xyz")), w.Write([]float32{-1.5}), w.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if list := f.Tensors(); len(list) != 3 || list[0].Name != "b" || list[1].DType != "U8" || list[2].Size() != 1 {
		t.Fatalf("%+v", list)
	}
	b, _ := f.Find("b")
	values, err := f.Values(b)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(large))
	if err := errors.Join(values.Read(got[:5]), values.Read(got[5:])); err != nil || got[255] != 255 || got[256] != 0 {
		t.Errorf("%v: %v", err, got[250:260])
	}
	if err := values.Read(got[:1]); !errors.Is(err, safetensors.ErrTruncated) {
		t.Errorf("behind the end: %v", err)
	}
	a, _ := f.Find("a")
	if _, err := f.Values(a); err == nil || !strings.Contains(err.Error(), "U8") {
		t.Errorf("packed values were read: %v", err)
	}
}

// TestUnfinishedFiles: what is not whole is an error, when it is written and
// when it is read.
func TestUnfinishedFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	two := []safetensors.Tensor{{Name: "a", DType: safetensors.F32, Shape: []int{2}}}
	w, err := safetensors.Create(path, two)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write([]float32{1}), w.Close()); err == nil || !strings.Contains(err.Error(), "a is not complete") {
		t.Errorf("too few: %v", err)
	}
	if _, err := safetensors.Open(path); !errors.Is(err, safetensors.ErrTruncated) || !strings.Contains(err.Error(), "it has 100 bytes, and its header says 104") {
		t.Errorf("half of the values: %v", err)
	}
	if w, err = safetensors.Create(path, two); err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]float32{1, 2, 3}); err == nil {
		t.Error("too many values were written")
	}
	_ = w.Close()
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := safetensors.Open(path); !errors.Is(err, safetensors.ErrTruncated) {
		t.Errorf("no header: %v", err)
	}
}
