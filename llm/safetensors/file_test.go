package safetensors_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// TestWriteBeyondTheType: a value that would not be finite in the file is named, and the
// largest ones that are have a place.
func TestWriteBeyondTheType(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		dtype string
		value float32
		want  string
	}{
		"the largest of float16":  {safetensors.F16, 65504, ""},
		"beyond float16":          {safetensors.F16, 70000, "value 40002 of 40003 is 70000, which is beyond what float16 can hold"},
		"below float16":           {safetensors.F16, -1e30, "value 40002 of 40003 is -1e+30"},
		"the largest of bfloat16": {safetensors.BF16, 3.3895314e38, ""},
		"beyond bfloat16":         {safetensors.BF16, math.MaxFloat32, "beyond what bfloat16 can hold"},
		"no number":               {safetensors.BF16, nan, "value 40002 of 40003 is NaN"},
		"no number in float32":    {safetensors.F32, nan, "value 40002 of 40003 is NaN"},
		"infinite":                {safetensors.F32, float32(math.Inf(1)), "is +Inf"},
	} {
		values := make([]float32, 40003) // several pieces of a file
		values[40001] = c.value
		for _, takesAny := range []bool{false, true} {
			w, err := safetensors.Create(filepath.Join(t.TempDir(), "w.safetensors"), []safetensors.Tensor{{Name: "a", DType: c.dtype, Shape: []int{len(values)}}})
			if err != nil {
				t.Fatal(err)
			}
			if takesAny {
				w.TakeAny()
			}
			err = errors.Join(w.Write(values[:5]), w.Write(values[5:]))
			_, beyond := errors.AsType[*safetensors.RangeError](err)
			if wants := c.want != "" && !takesAny; beyond != wants || wants && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, takes any %t: %v", name, takesAny, err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

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
