package chatapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tunebus/tunebus/pipeline/dataset/imagepart"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// MaxImages bounds the bytes of the images of a call, before they are encoded.
const MaxImages = 20 << 20

// TooLargeError is the error of a row whose images are larger than a call may be.
type TooLargeError struct{}

func (TooLargeError) Error() string {
	return fmt.Sprintf("its images have more than %d MiB together, which is the most that a call sends; make them smaller", MaxImages>>20)
}

// conversation is the prompt of a row as JSON. A list of parts that are texts is one
// text, since not every server knows parts; images are parts with data URLs.
func conversation(r row.Row) (json.RawMessage, error) {
	messages := r.Prompt() // a test set has no plain texts
	out := make([]row.Message, len(messages))
	images, left := r.Images, int64(MaxImages)
	for i, m := range messages {
		places := m.Images()
		if len(places) == 0 {
			out[i] = m.Flat()
			continue
		}
		if len(places) > len(images) {
			return nil, fmt.Errorf("%s: it has places for more images than it names", r.Place)
		}
		urls := make([]string, len(places))
		for at := range places {
			url, size, err := dataURL(images[at], left)
			if err != nil {
				return nil, err
			}
			urls[at], left = url, left-size
		}
		images = images[len(places):]
		out[i] = withURLs(imagepart.AsParts(m), places, urls)
	}
	return row.Conversation(out), nil
}

// withURLs puts images into their places among the parts of a message.
func withURLs(m row.Message, places []int, urls []string) row.Message {
	content, _ := m.Value().Get("content")
	var parts []value.Value
	for _, part := range content.Items() {
		parts = append(parts, part)
	}
	for at, place := range places {
		url := value.OfObject([]value.Field{{Name: "url", Value: value.OfText(urls[at])}})
		parts[place] = value.OfObject([]value.Field{{Name: "type", Value: value.OfText("image_url")}, {Name: "image_url", Value: url}})
	}
	return m.WithParts(parts)
}

// dataURL is an image of so many bytes at most as a data URL (RFC 2397), with its size.
func dataURL(image row.Image, most int64) (url string, size int64, err error) {
	in, err := image.Open()
	if err != nil {
		return "", 0, fmt.Errorf("open an image: %w", err)
	}
	defer in.Close()
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return "", 0, fmt.Errorf("read an image: %w", err)
	}
	if int64(len(body)) > most {
		return "", 0, TooLargeError{}
	}
	return "data:" + image.MediaType + ";base64," + base64.StdEncoding.EncodeToString(body), int64(len(body)), nil
}
