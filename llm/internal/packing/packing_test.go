package packing

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// TestBestFit compares with the packs that TRL makes, see testdata/tuning.py of package
// llm.
func TestBestFit(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../testdata/tuning/golden.json")
	var golden struct {
		Packs []struct {
			Lengths []int
			Most    int
			Packs   [][]int32
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &golden)
	}
	if err != nil || len(golden.Packs) < 4 {
		t.Fatalf("%d goldens (%v)", len(golden.Packs), err)
	}
	for _, c := range golden.Packs {
		if got := BestFit(c.Lengths, c.Most); !reflect.DeepEqual(got, c.Packs) {
			t.Errorf("%d rows in sequences of %d: %v, TRL's %v", len(c.Lengths), c.Most, got, c.Packs)
		}
	}
}

// FuzzBestFit: every row is in one sequence, and no sequence is too long unless a row is.
func FuzzBestFit(f *testing.F) {
	f.Add([]byte{3, 200, 0, 7, 7}, uint8(9))
	f.Fuzz(func(t *testing.T, rows []byte, most uint8) {
		lengths := make([]int, len(rows))
		for i, n := range rows {
			lengths[i] = int(n)
		}
		seen := make([]bool, len(rows))
		for _, sequence := range BestFit(lengths, int(most)) {
			sum := 0
			for _, i := range sequence {
				if seen[i] {
					t.Fatalf("row %d is there twice", i)
				}
				seen[i] = true
				sum += lengths[i]
			}
			if len(sequence) > 1 && sum > int(most) {
				t.Fatalf("%d tokens in a sequence of %d", sum, most)
			}
		}
		for i := range seen {
			if !seen[i] {
				t.Fatalf("row %d is gone", i)
			}
		}
	})
}
