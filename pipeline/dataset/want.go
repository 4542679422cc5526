package dataset

import "github.com/tunebus/tunebus/pipeline/dataset/shape"

// Want is what an engine wants of a data set.
type Want struct {
	// Use says which rows are given: a training gets no rows without an answer.
	Use Use
	// Shape is the value of data_format. Empty means [shape.Auto].
	Shape shape.Shape
	// Encoding is the value of data_encoding. Empty means UTF-8.
	Encoding string
	// Delimiter is the value of data_delimiter. Empty means that it is found.
	Delimiter string
	// Columns are the columns that keys name.
	Columns Columns
	// Extra are columns for [row.Row.Fields]. They do not have to exist.
	Extra []string
	// Sees says that the engine can use images. Without it a data set with images
	// is refused.
	Sees bool
	// Prefers says that the engine has a method for chosen and rejected answers.
	// Without it the shape preference is refused.
	Prefers bool
}

// Columns are the columns that keys name.
type Columns = shape.Columns

// Use is what an engine does with the rows.
type Use = shape.Use

// The uses.
const (
	Training = shape.Training
	Testing  = shape.Testing
)

// options are what the shapes have to know, for the keys of a section.
func (w Want) options(section string) shape.Options {
	return shape.Options{
		Use: w.Use, Shape: w.Shape, Columns: w.Columns, Extra: w.Extra, Sees: w.Sees, Prefers: w.Prefers, Section: section,
	}
}
