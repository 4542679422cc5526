package losscurve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func history(text string) Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{0, 1, MaxPoints - 1, MaxPoints, MaxPoints + 1, 10 * MaxPoints} {
		var text strings.Builder
		for i := range steps {
			fmt.Fprintf(&text, `{"key":"loss","value":%d,"step":%d}`+"\n"+`{"key":"learning_rate","value":1,"step":%[2]d}`+"\n", steps-i, i+1)
			if i%100 == 99 {
				fmt.Fprintf(&text, `{"key":"eval_loss","value":0.5,"step":%d}`+"\n", i+1)
			}
		}
		c, err := Read(t.Context(), history(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		points := c.Training.Points
		if c.Training.Total != steps || c.Validation.Total != steps/100 || len(points) > MaxPoints || len(points) < min(steps, MaxPoints/2-1) {
			t.Errorf("%d steps: %d points of %d, %d of validation", steps, len(points), c.Training.Total, c.Validation.Total)
		}
		if steps > 0 && (points[0].Step != 1 || points[len(points)-1].Step != int64(steps)) {
			t.Errorf("%d steps: from %d to %d", steps, points[0].Step, points[len(points)-1].Step)
		}
		for i := 1; i < len(points)-1; i++ {
			if points[i].Step-points[i-1].Step != points[1].Step-points[0].Step {
				t.Fatalf("%d steps: the points are not evenly apart at %d", steps, points[i].Step)
			}
		}
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	c, err := Read(t.Context(), history(`{"key":"loss","value":2,"step":1}`+"\n{"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || len(c.Training.Points) != 1 {
		t.Errorf("%v, %v", c.Training.Points, err)
	}
	gone := errors.New("gone")
	if _, err := Read(t.Context(), func(context.Context) (io.ReadCloser, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
}
