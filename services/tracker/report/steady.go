package report

import (
	"archive/zip"
	"io"
	"regexp"
	"slices"
)

// steadyZip writes the same workbook as the same bytes. The library lists the
// types of files in any order.
type steadyZip struct{ *zip.Writer }

// Create implements excelize.ZipWriter.
func (z steadyZip) Create(name string) (io.Writer, error) {
	w, err := z.Writer.Create(name)
	if err == nil && name == "[Content_Types].xml" {
		return sortedTypes{w}, nil
	}
	return w, err
}

// sortedTypes gets the list of types in one piece.
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
