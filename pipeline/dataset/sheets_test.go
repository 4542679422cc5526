package dataset_test

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// TestSheetsThatAreNotRead are told of, once.
func TestSheetsThatAreNotRead(t *testing.T) {
	t.Parallel()
	set, err := dataset.Open(t.Context(), source.Source{Path: "testdata/sheets/two.xlsx", Name: "two.xlsx", Key: "fine_tuner.training_data_id"}, training())
	if err != nil {
		t.Fatal(err)
	}
	const want = `fine_tuner.training_data_id: two.xlsx: the first sheet of a workbook is read; not read: "More rows"`
	if info := set.Info(); info.Counts.Rows != 1 || !slices.Equal(info.Notes, []string{want}) {
		t.Errorf("%d rows, notes %q", info.Counts.Rows, info.Notes)
	}
}
