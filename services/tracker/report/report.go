package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/reportfolder"
	"github.com/tunebus/tunebus/pipeline/runconfig"
	"github.com/tunebus/tunebus/services/tracker/report/losscurve"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
	"github.com/tunebus/tunebus/services/tracker/report/workbook"
)

// The names of the files.
const (
	WorkbookName        = "evaluator_output_detailed.xlsx"
	SummaryName         = "evaluator_output_summary.json"
	PipelineSummaryName = reportfolder.SummaryName
	ConfigName          = "config.toml"
)

const (
	mediaWorkbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	mediaJSON     = "application/json"
	mediaTOML     = "application/toml"
)

// Report is the input of the files of a run.
type Report struct {
	Run events.Run
	// Scores opens the scores artifact of the evaluation. If it is nil, only
	// the summary of the pipeline and the specification are written.
	Scores scores.Opener
	// Losses opens the metric history of the fine-tuning; nil: there is none.
	Losses losscurve.Opener
	// Size is how many bytes a stored model has, see [workbook.Input].
	Size func(context.Context, events.Reference) int64
	// TrackingURI is the MLflow of runs whose specification names none.
	TrackingURI string
	// Roots are the folders below which the services find relative paths.
	Roots []string
	// On are the flags of commands on the run that say where it is found; none: commands
	// look in the right place by themselves.
	On []string
}

// File is one file that was written.
type File struct {
	Name      string // one of the names of this package
	Path      string
	MediaType string
	Size      int64 // bytes
}

// Write writes all files of a run below dir and lists them. The caller has to
// know that no other process writes there. Write stops at the first error and
// returns the files that it wrote before.
func Write(ctx context.Context, dir string, r Report) ([]File, error) {
	if err := atomicfile.RemoveTemps(dir); err != nil {
		return nil, err
	}
	out := fileWriter{dir: dir}
	// Files that need no scores come first.
	if err := out.add(PipelineSummaryName, mediaJSON, atomicfile.JSON(pipelinesummary.Of(r.Run, r.On...))); err != nil {
		return out.files, err
	}
	if r.Run.Accepted != nil {
		if err := out.add(ConfigName, mediaTOML, func(w io.Writer) error { return runconfig.Write(w, r.Run, r.TrackingURI, r.Roots) }); err != nil {
			return out.files, err
		}
	}
	if r.Scores == nil {
		return out.files, nil
	}
	summary, err := scores.Summarise(ctx, r.Run, r.Scores, r.On...)
	if err != nil {
		return out.files, err
	}
	if err := out.add(SummaryName, mediaJSON, atomicfile.JSON(summary)); err != nil {
		return out.files, err
	}
	in := workbook.Input{Run: r.Run, Summary: summary, Rows: r.Scores, Losses: r.Losses}
	if r.Size != nil {
		in.Size = func(ref events.Reference) int64 { return r.Size(ctx, ref) }
	}
	err = out.add(WorkbookName, mediaWorkbook, func(w io.Writer) error { return workbook.Write(ctx, w, in) })
	return out.files, err
}

// Tidy removes the temporary files that a killed process left in the folder of a run below a
// folder of reports. An empty one is none.
func Tidy(reports string, run events.Run) error {
	if reports == "" {
		return nil
	}
	dir, err := reportfolder.OfRun(reports, run)
	if err != nil {
		return err
	}
	return atomicfile.RemoveTemps(dir)
}

// Unfinished returns the runs below a folder of reports of which a killed
// process left temporary files.
func Unfinished(reports string) ([]string, error) {
	left, err := fileglob.In(reports, "*/"+atomicfile.TempPattern)
	var runs []string
	for _, path := range left {
		if run := reportfolder.RunOf(filepath.Base(filepath.Dir(path))); !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
	}
	return runs, err
}

// fileWriter lists the files that it writes.
type fileWriter struct {
	dir   string
	files []File
}

func (f *fileWriter) add(name, mediaType string, write func(io.Writer) error) error {
	path := filepath.Join(f.dir, name)
	if err := atomicfile.Write(path, write, atomicfile.Options{Sync: true, BeforeRename: failpoint.ReportUnnamed}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f.files = append(f.files, File{Name: name, Path: path, MediaType: mediaType, Size: info.Size()})
	failpoint.Here(failpoint.ReportNext)
	return nil
}
