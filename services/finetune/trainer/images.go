package trainer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// imageFolder keeps the images of rows as files for a trainer, each content once.
type imageFolder string

// add returns the path of the file of an image.
func (f imageFolder) add(image row.Image) (string, error) {
	_, format, _ := strings.Cut(image.MediaType, "/")
	path := filepath.Join(string(f), image.Digest+"."+format)
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return "", fmt.Errorf("the folder for the images of the trainer: %w", err)
	}
	if image.Path != "" && os.Link(image.Path, path) == nil {
		return path, nil
	}
	if err := writeImage(image, path); err != nil {
		return "", fmt.Errorf("write an image for the trainer: %w", err)
	}
	return path, nil
}

func writeImage(image row.Image, path string) (err error) {
	in, err := image.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// withParts returns a message of a row with images, with its content as a list of parts
// that are objects.
func withParts(m row.Message) row.Message {
	content, _ := m.Value().Get("content")
	text := func(v value.Value) value.Value {
		return value.OfObject([]value.Field{{Name: "type", Value: value.OfText("text")}, {Name: "text", Value: v}})
	}
	switch content.Kind() {
	case value.Text:
		return m.WithParts([]value.Value{text(content)})
	case value.List:
		var parts []value.Value
		for _, part := range content.Items() {
			if part.Kind() == value.Text {
				part = text(part)
			}
			parts = append(parts, part)
		}
		return m.WithParts(parts)
	}
	return m
}
