package compared

import (
	"bytes"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/comparison"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// TestNumbers: a change has as many digits as the numbers.
func TestNumbers(t *testing.T) {
	t.Parallel()
	numbers := func(name string, a, b, change float64) comparison.Numbers {
		return comparison.Numbers{Name: name, A: &a, B: &b, Change: &change}
	}
	var out bytes.Buffer
	writeNumbers(&out, "LOSS", []comparison.Numbers{numbers("training", 0.05277, 0.5, 0.44723), numbers("steps", 4, 9, 5)}, view.Loss)
	writeNumbers(&out, "SCORE", []comparison.Numbers{
		numbers("bleu_score", 0.93, 0.5, -0.43), numbers("rouge_score", 0.851, 0.5, -0.351), numbers("token_f1", 1, 1, 0), {Name: "coverage"},
	}, score)
	want := `
LOSS      A       B       CHANGE
training  0.0528  0.5000  +0.4472
steps     4       9       +5

SCORE        A      B      CHANGE
bleu_score   0.930  0.500  -0.430
rouge_score  0.851  0.500  -0.351
token_f1     1.000  1.000  +0.000
coverage     -      -      -
`
	if out.String() != want {
		t.Errorf("%s", &out)
	}
}
