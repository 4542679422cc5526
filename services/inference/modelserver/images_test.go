package modelserver_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// picture is a PNG of one colour, with some bytes behind it that no decoder reads.
func picture(t *testing.T, size, more int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, size, size))); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), make([]byte, more)...)
}

// TestImages: images of files and of the data are sent in their places as data URLs, a row
// without one as before, and one whose images are too large for a call has the reason.
func TestImages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b := newBench(t.TempDir())
	small, other, large := picture(t, 4, 0), picture(t, 5, 0), picture(t, 6, 20<<20)
	for name, body := range map[string][]byte{"small.png": small, "large.png": large} {
		if err := os.WriteFile(filepath.Join(b.dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := func(body []byte) string { return "data:image/png;base64," + base64.StdEncoding.EncodeToString(body) }
	rows := `{"messages": [{"role": "user", "content": [{"type": "image"}, "Which one?", {"type": "image"}]}, {"role": "assistant", "content": "a"}], "images": ["small.png", "` + url(other) + `"]}
{"messages": [{"role": "user", "content": "No picture?"}, {"role": "assistant", "content": "a"}]}
{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Too much?"}]}, {"role": "assistant", "content": "a"}], "images": ["large.png"]}
`
	if err := os.WriteFile(filepath.Join(b.dir, "rows.jsonl"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := modelserver.New(config(f.URL, filepath.Join(b.dir, "machine"))).Run(t.Context(), b.job(request(nil))); err != nil {
		t.Fatal(err)
	}
	part := func(body []byte) string {
		return fmt.Sprintf(`{"type":"image_url","image_url":{"url":"%s"}}`, url(body))
	}
	var got []string
	for _, a := range f.of() {
		got = append(got, a.field("messages"))
	}
	slices.Sort(got)
	want := []string{
		`[{"role":"user","content":"No picture?"}]`,
		`[{"role":"user","content":[` + part(small) + `,{"type":"text","text":"Which one?"},` + part(other) + `]}]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	answers := b.answers(t, prediction.FileName)
	if len(answers) != 3 || answers[0].NoAnswer || answers[1].NoAnswer || !answers[2].NoAnswer ||
		answers[2].Error != "rows.jsonl, line 3: its images have more than 20 MiB together, which is the most that a call sends; make them smaller" {
		t.Errorf("answers %+v", answers)
	}
}

// TestImagesRefused: a server whose model does not see says so in the row.
func TestImagesRefused(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.before = func(w http.ResponseWriter, a asked, _ int) bool {
		if !strings.Contains(a.question(), "image_url") {
			return false
		}
		refuse(w, http.StatusBadRequest, `{"error": {"message": "owner/base is not a multimodal model", "type": "BadRequestError", "code": 400}}`)
		return true
	}
	b := newBench(t.TempDir())
	row := `{"question": "What?", "answer": "a", "image": "data:image/png;base64,` + base64.StdEncoding.EncodeToString(picture(t, 4, 0)) + `"}` + "\n"
	if err := os.WriteFile(filepath.Join(b.dir, "rows.jsonl"), []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := modelserver.New(config(f.URL, filepath.Join(b.dir, "machine"))).Run(t.Context(), b.job(request(func(s *events.Specification) { s.Inferencer.ImageColumn = "image" })))
	if err == nil || !strings.Contains(err.Error(), "not a multimodal model") {
		t.Errorf("%v", err)
	}
}
