package workbook

import (
	"archive/zip"
	"io"
	"regexp"
	"slices"
)

// reproducibleZip gives the same bytes for the same workbook. excelize lists
// the content types in random order, so they are sorted here.
type reproducibleZip struct{ *zip.Writer }

// Create implements excelize.ZipWriter.
func (z reproducibleZip) Create(name string) (io.Writer, error) {
	w, err := z.Writer.Create(name)
	if err == nil && name == "[Content_Types].xml" {
		return sortedTypes{w}, nil
	}
	return w, err
}

// sortedTypes sorts the list of content types, which excelize writes in one
// piece.
type sortedTypes struct{ w io.Writer }

var defaultType = regexp.MustCompile(`<Default [^>]*>(</Default>)?`)

func (s sortedTypes) Write(p []byte) (int, error) {
	types := defaultType.FindAllString(string(p), -1)
	slices.Sort(types)
	sorted := defaultType.ReplaceAllStringFunc(string(p), func(string) string {
		next := types[0]
		types = types[1:]
		return next
	})
	if _, err := io.WriteString(s.w, sorted); err != nil {
		return 0, err
	}
	return len(p), nil
}
