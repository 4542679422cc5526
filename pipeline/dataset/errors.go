package dataset

import "errors"

// ErrEmpty means that a data set has no rows, or a folder no data files.
var ErrEmpty = errors.New("the data set is empty")
