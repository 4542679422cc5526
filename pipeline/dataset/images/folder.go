package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // decoders that Verify asks
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

const (
	// maxBytes bounds an encoded image.
	maxBytes = 64 << 20
	// maxPixels bounds what decoding an image may take: 4 bytes each.
	maxPixels = 100_000_000
)

// Folder finds the images of a data file.
type Folder struct {
	// Dir is the folder of the data file. Paths start there, and stay below.
	Dir string
	// Verify says that each image is decoded, if it is of a format that Go's
	// library knows: PNG, JPEG and GIF.
	Verify bool
}

// Image returns the image that a value names or holds.
func (f Folder) Image(v value.Value) (row.Image, error) {
	switch v.Kind() {
	case value.Bytes:
		return f.encoded(v.Bytes())
	case value.Object:
		if b, _ := v.Get("bytes"); b.Kind() == value.Bytes {
			return f.encoded(b.Bytes())
		}
		if path, _ := v.Get("path"); path.Kind() == value.Text {
			return f.Image(path)
		}
		return row.Image{}, errors.New("an object without bytes and path")
	case value.Text:
		text, err := v.Text()
		if err != nil {
			return row.Image{}, err
		}
		if strings.HasPrefix(text, "data:") {
			return f.dataURL(text)
		}
		return f.file(text)
	}
	return row.Image{}, fmt.Errorf("%s; want a path, a data URL, or bytes", v.Kind())
}

// dataURL reads data:image/png;base64,… (RFC 2397).
func (f Folder) dataURL(text string) (row.Image, error) {
	head, body, ok := strings.Cut(text, ",")
	if !ok {
		return row.Image{}, errors.New("the data URL has no comma")
	}
	if !strings.HasSuffix(head, ";base64") {
		plain, err := url.PathUnescape(body)
		if err != nil {
			return row.Image{}, errors.New("the data URL is damaged")
		}
		return f.encoded([]byte(plain))
	}
	decoded, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return row.Image{}, fmt.Errorf("the data URL is damaged: %w", err)
	}
	return f.encoded(decoded)
}

// encoded is an image whose bytes the row has.
func (f Folder) encoded(b []byte) (row.Image, error) {
	if len(b) > maxBytes {
		return row.Image{}, fmt.Errorf("it has %d bytes; the largest allowed has %d", len(b), maxBytes)
	}
	out, err := f.inspect(b)
	out.Data = b
	return out, err
}

// file is an image below the folder.
func (f Folder) file(name string) (row.Image, error) {
	if strings.Contains(name, "://") {
		return row.Image{}, fmt.Errorf("%s: an address is not fetched; want a path below the folder of the data file", shortened(name))
	}
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return row.Image{}, fmt.Errorf("%s: the path does not lead below the folder of the data file", shortened(name))
	}
	root, err := os.OpenRoot(f.Dir) // a link cannot lead out of it
	if err != nil {
		return row.Image{}, withoutPath(name, err)
	}
	defer func() { _ = root.Close() }() // nothing was written
	file, err := root.Open(local)
	if err != nil {
		return row.Image{}, withoutPath(name, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return row.Image{}, withoutPath(name, err)
	case !info.Mode().IsRegular():
		return row.Image{}, fmt.Errorf("%s: it is no file", shortened(name))
	case info.Size() > maxBytes:
		return row.Image{}, fmt.Errorf("%s: it has %d bytes; the largest allowed has %d", shortened(name), info.Size(), maxBytes)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxBytes))
	if err != nil {
		return row.Image{}, withoutPath(name, err)
	}
	out, err := f.inspect(b)
	if err != nil {
		return row.Image{}, fmt.Errorf("%s: %w", shortened(name), err)
	}
	out.Path = filepath.Join(f.Dir, local)
	return out, nil
}

// inspect finds the format of an image, and decodes it if that is wanted.
func (f Folder) inspect(b []byte) (row.Image, error) {
	sum := sha256.Sum256(b)
	out := row.Image{MediaType: http.DetectContentType(b), Digest: hex.EncodeToString(sum[:])}
	if !strings.HasPrefix(out.MediaType, "image/") {
		return out, errors.New("it is no image")
	}
	if !f.Verify {
		return out, nil
	}
	switch out.MediaType {
	case "image/png", "image/jpeg", "image/gif":
	default:
		return out, nil
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(b))
	switch {
	case err != nil:
		return out, fmt.Errorf("the image is damaged: %w", err)
	case config.Width > 0 && config.Height > maxPixels/config.Width:
		return out, fmt.Errorf("the image has %d × %d pixels; the largest allowed has %d", config.Width, config.Height, maxPixels)
	}
	if _, _, err := image.Decode(bytes.NewReader(b)); err != nil {
		return out, fmt.Errorf("the image is damaged: %w", err)
	}
	return out, nil
}

// withoutPath is an error with the name that the row has, not the path here.
func withoutPath(name string, err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w", shortened(name), err)
}

// shortened bounds a name in an error: it may be anything.
func shortened(name string) string {
	const most = 200
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
