package row

import (
	"bytes"
	"io"
	"os"
)

// Image is an image of a row: a file beside the data, or bytes.
type Image struct {
	// Path is the file on this machine; empty if Data has the image.
	Path string
	// Data is the encoded image.
	Data []byte
	// MediaType is the format, such as image/png.
	MediaType string
	// Digest is the SHA-256 of the encoded image, in hexadecimal.
	Digest string
}

// Open opens the encoded image.
func (i Image) Open() (io.ReadCloser, error) {
	if i.Path == "" {
		return io.NopCloser(bytes.NewReader(i.Data)), nil
	}
	return os.Open(i.Path)
}
