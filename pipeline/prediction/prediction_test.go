package prediction_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

// TestWriterOrder: predictions are written in the order of their indexes.
func TestWriterOrder(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := prediction.NewWriter(&out, 0)
	for _, i := range []int64{2, 0, 1} {
		if err := w.Write(prediction.Prediction{Index: i, Answer: strings.Repeat("a", int(i)+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for p, err := range prediction.Read(&out) {
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, p.Answer)
	}
	if got := strings.Join(answers, ","); got != "a,aa,aaa" {
		t.Errorf("read back %s", got)
	}
}

// TestWriterGap: a missing prediction is an error.
func TestWriterGap(t *testing.T) {
	t.Parallel()
	w := prediction.NewWriter(&bytes.Buffer{}, 0)
	if err := w.Write(prediction.Prediction{Index: 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err == nil {
		t.Error("flushed with prediction 0 missing")
	}
}

// TestReadFaults: the error names the line.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"empty":     {"\n\n", "no predictions"},
		"not JSON":  {"{\"question\":\"q\"}\nhello\n", "line 2"},
		"truncated": {"{\"question\":", "line 1"},
	} {
		var last error
		for _, err := range prediction.Read(strings.NewReader(c.in)) {
			last = errors.Join(last, err)
		}
		if last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, last, c.want)
		}
	}
}
