// Package imagefiles keeps the images of rows as files, for programs that read rows and
// are told where the images lie.
package imagefiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
)

// Folder keeps the images of rows as files, each content once.
type Folder string

// Add returns the path of the file of an image.
func (f Folder) Add(image row.Image) (string, error) {
	_, format, _ := strings.Cut(image.MediaType, "/")
	path := filepath.Join(string(f), image.Digest+"."+format)
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return "", fmt.Errorf("the folder for the images: %w", err)
	}
	if image.Path != "" && os.Link(image.Path, path) == nil {
		return path, nil
	}
	if err := writeImage(image, path); err != nil {
		return "", fmt.Errorf("write an image: %w", err)
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
