package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/tracker/atomicfile"
)

// The names of the files.
const (
	WorkbookName        = "evaluator_output_detailed.xlsx"
	SummaryName         = "evaluator_output_summary.json"
	PipelineSummaryName = "pipeline_summary.json"
	ConfigName          = "config.toml"
)

const (
	mediaWorkbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	mediaJSON     = "application/json"
	mediaTOML     = "application/toml"
)

// MaxSampleRows is how many rows a sheet of Excel holds below its header.
const MaxSampleRows = 1<<20 - 1

// Report is all that the files of a run are made from.
type Report struct {
	Run events.Run
	// Scores opens the scores artifact of the evaluation; nil where there is
	// none, and then only the pipeline's summary and its specification are
	// written.
	Scores Opener
	// SampleRows limits the rows in the workbook; default and most are
	// MaxSampleRows. Statistics always count all rows.
	SampleRows int
}

// File is one file that was written.
type File struct {
	Name      string // one of the names of this package
	Path      string
	MediaType string
	Size      int64 // bytes
}

// Write writes all files of a run below dir, where nobody else writes
// meanwhile, and lists them. It stops at the first error and returns the files
// that were written before.
func Write(ctx context.Context, dir string, r Report) ([]File, error) {
	if err := atomicfile.RemoveTemps(dir); err != nil {
		return nil, err
	}
	var files []File
	add := func(name, mediaType string, write func(io.Writer) error) error {
		path := filepath.Join(dir, name)
		if err := atomicfile.Write(path, write, atomicfile.Options{Sync: true, BeforeRename: failpoint.ReportUnnamed}); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		files = append(files, File{name, path, mediaType, info.Size()})
		failpoint.Here(failpoint.ReportNext)
		return nil
	}
	// What needs no scores comes first.
	if err := add(PipelineSummaryName, mediaJSON, atomicfile.JSON(SummarisePipeline(r.Run))); err != nil {
		return files, err
	}
	if a := r.Run.Accepted; a != nil {
		if err := add(ConfigName, mediaTOML, func(w io.Writer) error { return structconf.Write(w, a.Specification) }); err != nil {
			return files, err
		}
	}
	if r.Scores == nil {
		return files, nil
	}
	summary, err := Summarise(ctx, r.Run, r.Scores)
	if err != nil {
		return files, err
	}
	if err := add(SummaryName, mediaJSON, atomicfile.JSON(summary)); err != nil {
		return files, err
	}
	return files, add(WorkbookName, mediaWorkbook, func(w io.Writer) error { return writeWorkbook(ctx, w, r, summary) })
}
