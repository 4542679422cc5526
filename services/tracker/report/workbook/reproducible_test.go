package workbook

import (
	"bytes"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestReproducible: a run gives the same bytes every time.
func TestReproducible(t *testing.T) {
	t.Parallel()
	const rows = `{"question":"a","ground_truth":"b","answer":"b","scores":{"exact_match":1,"rouge_score":0.5}}` + "\n"
	first := workbookOf(t, events.Run{}, rows, maxRows)
	for range 4 {
		if again := workbookOf(t, events.Run{}, rows, maxRows); !bytes.Equal(again, first) {
			t.Fatal("the same run gave other bytes")
		}
	}
}
