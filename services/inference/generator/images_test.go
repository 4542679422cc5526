package generator_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// TestImages: a command that sees gets messages and the files of their images, also for a
// row without one, and says the tokens of a prompt. One that does not see is refused.
func TestImages(t *testing.T) {
	t.Parallel()
	h, folder := newHarness(t, 1), t.TempDir()
	var dot bytes.Buffer
	if err := png.Encode(&dot, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	h.Write(t, "dot.png", dot.String())
	url := "data:image/png;base64," + base64.StdEncoding.EncodeToString(dot.Bytes())
	h.Write(t, "rows.jsonl", `{"messages": [{"role": "user", "content": [{"type": "image"}, "Which?", {"type": "image"}]}, {"role": "assistant", "content": "a"}], "images": ["dot.png", "`+url+`"]}
{"messages": [{"role": "user", "content": "None?"}, {"role": "assistant", "content": "a"}]}
`)
	c := h.Run(t, echo(t, "sees", folder), events.Inference, events.Inputs{}, small)
	if c.Conclusion != events.Success {
		t.Fatalf("%+v", c.Error)
	}
	got := workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions)
	if len(got) != 2 || got[0].PromptTokens != 7 || c.TokensIn != 14 || c.TokensOut != 2 || got[0].Answer == got[1].Answer || got[0].Question != "Which?" {
		t.Errorf("%+v, %d tokens", got, c.TokensIn)
	}
	mark, err := os.ReadFile(filepath.Join(folder, "mark"))
	want := `[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which?"}, {"type": "image"}]}]
[{"role": "user", "content": [{"type": "text", "text": "None?"}]}]
`
	if err != nil || !strings.HasSuffix(string(mark), want) {
		t.Errorf("the command was told %s, want %s; %v", mark, want, err)
	}
	c = h.Run(t, echo(t, "", t.TempDir()), events.Inference, events.Inputs{}, small)
	if c.Error == nil || c.Error.Code != "bad_key" || !strings.Contains(c.Error.Message, "its rows have images, and the command echo reads none") {
		t.Errorf("completed %+v", c.Error)
	}
}
