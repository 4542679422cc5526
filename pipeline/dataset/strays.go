package dataset

import (
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
)

// strays finds the rows of a data set that have another shape than it was read as.
// Such a row is an error: nobody wants it left out for want of a question. It is
// none if the columns of the other shape also stand beside those that are read, as
// a column with a comment may do.
type strays struct {
	read   shape.Shape // as which the data set is read
	others shape.Others
	// unknown are the other shapes of which no row has the columns beside those that
	// are read.
	unknown []shape.Shape
	found   []stray
}

// stray is the first row of another shape.
type stray struct {
	shape shape.Shape
	place row.Place
}

// findStrays looks for rows of all shapes but that of the converter. If the person
// named a shape, the rows of others are left out, and counted.
func findStrays(c *shape.Converter, named bool) *strays {
	s := &strays{read: c.Shape, others: c.Others()}
	if !named {
		s.unknown = shape.All()
	}
	return s
}

// row looks at a row that was read.
func (s *strays) row(r reader.Record, at row.Place, lack shape.Lack) {
	isRead := lack == shape.Nothing || lack == shape.Truth
	for _, other := range slices.Clone(s.unknown) {
		switch {
		case other == s.read || !s.others.Fits(r, other):
		case isRead:
			s.unknown = slices.DeleteFunc(s.unknown, func(x shape.Shape) bool { return x == other })
		case !slices.ContainsFunc(s.found, func(x stray) bool { return x.shape == other }):
			s.found = append(s.found, stray{other, at})
		}
	}
}

// fault is the error for the first row of another shape. section is that of the keys.
func (s *strays) fault(section string) error {
	for _, f := range s.found {
		if slices.Contains(s.unknown, f.shape) {
			return fmt.Errorf("%s: the row has the shape %q, and the data set was read as %q; give all rows one shape, "+
				"or name the shape in %s.data_format: rows without its columns are left out then",
				f.place, f.shape, s.read, section)
		}
	}
	return nil
}
