package reader

import (
	"path/filepath"
	"strings"
)

// Format is a file format.
type Format string

// The formats.
const (
	JSONL   Format = "jsonl"
	JSON    Format = "json"
	CSV     Format = "csv"
	TSV     Format = "tsv"
	Parquet Format = "parquet"
	Arrow   Format = "arrow" // also Feather
	XLSX    Format = "xlsx"
)

var formats = map[string]Format{
	".jsonl": JSONL, ".ndjson": JSONL, ".json": JSON, ".csv": CSV, ".tsv": TSV,
	".parquet": Parquet, ".arrow": Arrow, ".feather": Arrow, ".xlsx": XLSX,
}

// FormatOf returns the format of a file by the extension of its name. The text
// formats may have .gz or .zst behind it.
func FormatOf(name string) (Format, bool) {
	name = strings.ToLower(name)
	plain := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	format, ok := formats[filepath.Ext(plain)]
	if plain != name && !format.isText() {
		return "", false // the binary formats have their own compression
	}
	return format, ok
}

// isText reports whether files of the format are text.
func (f Format) isText() bool {
	switch f {
	case JSONL, JSON, CSV, TSV:
		return true
	}
	return false
}
