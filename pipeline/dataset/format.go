package dataset

import (
	"context"
	"path/filepath"
	"strings"
)

// Format is a file format.
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

// formatOf returns the format of a file by its name.
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
		return "", false // the binary formats have their own compression
	case ext == ".parquet":
		return Parquet, true
	case ext == ".xlsx":
		return XLSX, true
	}
	return "", false
}

// cell is a value of a row. The zero value is a null or a missing cell.
type cell struct {
	text    string
	present bool
}

// visitor is called for each row, in order, with a value for each wanted column.
// The next row overwrites the values. An error stops the reading and is returned
// unchanged.
type visitor func(line int, values []cell) error

// read reads the wanted columns of a file. An empty name or an unknown column has
// no value. It returns the names of all columns of the file. They are complete
// only if the file was read to its end.
func (f file) read(ctx context.Context, want []string, visit visitor) ([]string, error) {
	checked := func(line int, values []cell) error {
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

// columnIndexes returns the index in have of each wanted column, or -1.
func columnIndexes(have, want []string) []int {
	indexes := make(map[string]int, len(have))
	for i, name := range have {
		if _, exists := indexes[name]; !exists {
			indexes[name] = i
		}
	}
	out := make([]int, len(want))
	for i, name := range want {
		out[i] = -1
		if p, ok := indexes[name]; ok && name != "" {
			out[i] = p
		}
	}
	return out
}
