package scores

import (
	"fmt"
	"testing"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	if describe(nil) != nil {
		t.Error("statistics of nothing")
	}
	one := describe([]float64{3})
	if one.Std != nil || one.Mean != 3 || one.Q1 != 3 || one.Max != 3 {
		t.Errorf("one score: %+v", one)
	}
	// The figures are pandas' for Series([7, 1, 4, 2]).describe().
	got := describe([]float64{7, 1, 4, 2})
	if s := fmt.Sprintf("%d %v %.6f %v %v %v %v %v", got.Count, got.Mean, *got.Std, got.Min, got.Q1, got.Median, got.Q3, got.Max); s != "4 3.5 2.645751 1 1.75 3 4.75 7" {
		t.Errorf("statistics %s", s)
	}
}
