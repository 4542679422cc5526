package mlflow

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestContent: the size of a content is checked, and no reader gets all bytes
// of one that is too long.
func TestContent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		size  int64
		fault bool
	}{
		"right":     {"text", 4, false},
		"empty":     {"", 0, false},
		"any size":  {"text", -1, false},
		"too short": {"text", 5, true},
		"too long":  {"text", 3, true},
		"not empty": {"text", 0, true},
	} {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(c.text)), nil }
		content, err := OpenContent(t.Context(), Artifact{Size: c.size, Open: open})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(content)
		if (err != nil) != c.fault || (content.Fault() != nil) != c.fault || !c.fault && string(got) != c.text {
			t.Errorf("%s: %q, %v, fault %v", name, got, err, content.Fault())
		}
		if c.fault && c.size < int64(len(c.text)) && string(got) == c.text {
			t.Errorf("%s: the reader got all bytes", name)
		}
	}
}

// TestContentStopsWithItsContext: a cancelled copy is not the fault of the
// content.
func TestContentStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("text")), nil }
	content, err := OpenContent(ctx, Artifact{Size: 4, Open: open})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(content); !errors.Is(err, context.Canceled) || content.Fault() != nil {
		t.Errorf("error %v, fault %v", err, content.Fault())
	}
}

func TestNewParamConflict(t *testing.T) {
	t.Parallel()
	if err := NewParamConflict("r", nil); err != nil {
		t.Errorf("without keys: %v", err)
	}
	want := "log parameters of run r: a, b: another value is there already and stays"
	if err := NewParamConflict("r", []string{"b", "a", "b"}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
