package trainer_test

import (
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestImages: a trainer that sees gets the images of the rows as files, each once, and the
// rows name them in the order of their places. One that does not see is refused.
func TestImages(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	picture := image.NewGray(image.Rect(0, 0, 4, 4))
	picture.Set(1, 1, color.White)
	file := filepath.Join(h.Root, "dot.png")
	out, err := os.Create(file)
	if err == nil {
		err = png.Encode(out, picture)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"messages":[{"role":"user","content":[{"type":"image"},"What is this?",{"type":"image"}]},{"role":"assistant","content":"A dot."}],"images":["dot.png",URL]}`
	h.Write(t, "pictures.jsonl", strings.Repeat(strings.ReplaceAll(text, "URL", `"data:image/png;base64,`+base64.StdEncoding.EncodeToString(body)+`"`)+"\n", 3)+
		`{"messages":[{"role":"user","content":"No picture?"},{"role":"assistant","content":"None."}]}`+"\n")
	seen := filepath.Join(t.TempDir(), "seen")
	rows := func(s *events.Specification) {
		small(s)
		s.FineTuner.TrainingDataID, s.FineTuner.IsMultimodel = "pictures.jsonl", true
	}
	done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=look", "LOOK="+seen), events.Finetune, events.Inputs{}, rows)
	if done.Conclusion != events.Success {
		t.Fatalf("it completed as %s: %+v", done.Conclusion, done.Error)
	}
	var got struct {
		Job      struct{ Training struct{ Rows, Images int } }
		Messages []struct {
			Messages []struct {
				Content json.RawMessage `json:"content"`
			}
			Images []string
		}
		Pictures []string // in the folder of the images
	}
	if body, err = os.ReadFile(seen); err == nil {
		err = json.Unmarshal(body, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got.Job.Training.Rows != 4 || got.Job.Training.Images != 6 || len(got.Pictures) != 1 {
		t.Errorf("it saw %+v", got)
	}
	var with, without int
	for _, m := range got.Messages {
		content := string(m.Messages[0].Content)
		switch {
		case content == `"No picture?"` && m.Images == nil:
			without++
		case content == `[{"type": "image"}, {"type": "text", "text": "What is this?"}, {"type": "image"}]` && len(m.Images) == 2 &&
			filepath.IsAbs(m.Images[0]) && !slices.ContainsFunc(m.Images, func(path string) bool { return filepath.Base(path) != got.Pictures[0] }):
			with++
		default:
			t.Errorf("a row has %s with the images %q", content, m.Images)
		}
	}
	if with != 3 || without != 1 {
		t.Errorf("it saw %d rows with images and %d without, want 3 and 1", with, without)
	}
	for _, c := range []struct {
		sees bool
		want string
	}{
		{true, "the rows have images, and the trainer chain reads none"},
		{false, "the row has an image, and this engine does not see; one that does needs is_multimodel = true"},
	} {
		done = h.Run(t, newEngine(script(t, example)), events.Finetune, events.Inputs{}, func(s *events.Specification) {
			rows(s)
			s.FineTuner.IsMultimodel = c.sees
		})
		if done.Error == nil || !strings.Contains(done.Error.Message, c.want) {
			t.Errorf("is_multimodel = %v: it completed as %s with %+v, want %q", c.sees, done.Conclusion, done.Error, c.want)
		}
	}
}
