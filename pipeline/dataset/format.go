package dataset

import (
	"context"
	"path/filepath"
	"strings"
)

// Format is how rows are written in a file.
type Format string

// The formats that can be read.
const (
	JSONL   Format = "jsonl"
	JSON    Format = "json"
	CSV     Format = "csv"
	TSV     Format = "tsv"
	Parquet Format = "parquet"
	XLSX    Format = "xlsx"
)

// formatOf tells a file's format by its name.
func formatOf(name string) (Format, bool) {
	name = strings.ToLower(name)
	plain := strings.TrimSuffix(name, ".gz")
	switch ext := filepath.Ext(plain); {
	case ext == ".jsonl" || ext == ".ndjson":
		return JSONL, true
	case ext == ".json":
		return JSON, true
	case ext == ".csv":
		return CSV, true
	case ext == ".tsv":
		return TSV, true
	case plain != name:
		return "", false // the others are compressed in themselves
	case ext == ".parquet":
		return Parquet, true
	case ext == ".xlsx":
		return XLSX, true
	}
	return "", false
}

// value is a cell; the zero value is a null, or a cell that is not there.
type value struct {
	text    string
	present bool
}

// visitor is called for each row, in order, with a value for each wanted
// column. The values are overwritten by the next row. Its error ends the
// reading and is answered as it is.
type visitor func(line int, values []value) error

// read reads a file, asking for these columns; an empty name or an unknown
// column has no value. It answers the names of all columns of the file, which
// are complete only if it was read to its end.
func (f file) read(ctx context.Context, want []string, visit visitor) ([]string, error) {
	checked := func(line int, values []value) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return visit(line, values)
	}
	switch f.format {
	case JSONL:
		return readJSONL(f.path, want, checked)
	case JSON:
		return readJSON(f.path, want, checked)
	case CSV:
		return readCSV(f.path, ',', want, checked)
	case TSV:
		return readCSV(f.path, '\t', want, checked)
	case Parquet:
		return readParquet(f.path, want, checked)
	case XLSX:
		return readXLSX(f.path, want, checked)
	}
	return nil, ErrUnknownFormat
}

// positions answers where in have each wanted column is, -1 where it is not.
func positions(have, want []string) []int {
	at := make(map[string]int, len(have))
	for i, name := range have {
		if _, twice := at[name]; !twice {
			at[name] = i
		}
	}
	out := make([]int, len(want))
	for i, name := range want {
		out[i] = -1
		if p, ok := at[name]; ok && name != "" {
			out[i] = p
		}
	}
	return out
}
