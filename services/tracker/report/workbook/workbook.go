package workbook

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/services/tracker/report/losscurve"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// The sheets of the workbook, in their order.
const (
	sheetStatistics   = "Summary statistics"
	sheetSamples      = "Sample scores"
	sheetDistribution = "Score distribution"
	sheetErrors       = "Error analysis"
	sheetLoss         = "Loss curve"
	sheetRun          = "Run"
)

// maxRows is how many rows a sheet of Excel holds below its header. Statistics
// always count all rows.
const maxRows = 1<<20 - 1

// Input is the content of a workbook.
type Input struct {
	Run     events.Run
	Summary scores.Summary // of Rows
	Rows    scores.Opener
	// Losses opens the metric history of the fine-tuning; nil: the run has none.
	Losses losscurve.Opener
	// Size is how many bytes a stored model has, of all its files; 0 where that is not
	// known. Default: that of the reference, if it is one of a file.
	Size func(events.Reference) int64
}

// workbook is a workbook while it is written.
type workbook struct {
	file    *excelize.File
	summary scores.Summary
	run     events.Run
	styles  styles
	shown   int    // rows in the sheet of samples
	cut     int    // texts in it that are longer than a cell
	tall    int    // rows in it that show only the beginning of a text
	model   string // the name of the model whose answers were scored
	size    func(events.Reference) int64
}

// fileSize is the size that a reference has. That of a folder is the size of the list
// of its files.
func fileSize(ref events.Reference) int64 {
	if manifest.Is(ref) {
		return 0
	}
	return ref.Size
}

// Write writes a workbook to w. It reads the rows once.
func Write(ctx context.Context, w io.Writer, in Input) error { return write(ctx, w, in, maxRows) }

func write(ctx context.Context, w io.Writer, in Input, limit int) (err error) {
	file := excelize.NewFile()
	defer func() { err = errors.Join(err, file.Close()) }()
	// By default excelize holds the whole file in memory before it writes it.
	file.ZipWriter = func(io.Writer) excelize.ZipWriter { return reproducibleZip{zip.NewWriter(w)} }

	b := &workbook{file: file, summary: in.Summary, run: in.Run, shown: min(in.Summary.Rows, limit), model: modelName(in.Run), size: in.Size}
	if b.size == nil {
		b.size = fileSize
	}
	found := newFindings()
	for _, write := range []func() error{
		func() error { return b.prepare(in.Losses != nil) },
		func() error { return b.writeSamples(ctx, in.Rows, found) },
		b.writeStatistics, // it says what the samples do not show
		b.writeDistribution,
		func() error { return b.writeErrors(found) },
		func() error { return b.writeLosses(ctx, in.Losses) },
		b.writeRun,
		func() error { return file.Write(io.Discard) }, // writes to w, see ZipWriter
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the sheets and the styles.
func (b *workbook) prepare(withLosses bool) error {
	if err := b.file.SetSheetName("Sheet1", sheetStatistics); err != nil {
		return err
	}
	names := []string{sheetSamples, sheetDistribution, sheetErrors}
	if withLosses {
		names = append(names, sheetLoss)
	}
	for _, name := range append(names, sheetRun) {
		if _, err := b.file.NewSheet(name); err != nil {
			return err
		}
	}
	var err error
	if b.styles, err = newStyles(b.file); err != nil {
		return err
	}
	// The time of the evaluation and not the current one, so that the same run
	// gives the same bytes.
	made := ""
	if p := b.run.Phases[events.Evaluation]; p != nil && p.Completed != nil && !p.Completed.EndedAt.IsZero() {
		made = p.Completed.EndedAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	return b.file.SetDocProps(&excelize.DocProperties{
		Title: cellText("Evaluation of " + nameOf(b.summary)), Creator: "tunebus", Created: made, Modified: made,
	})
}

// nameOf is the name of the run, or its id if it has no name.
func nameOf(s scores.Summary) string { return cmp.Or(s.RunName, s.RunID) }

const baseModel = "Base model"

// modelName says whether the model was tuned in this run or is given.
func modelName(run events.Run) string {
	tuned := run.Accepted != nil && run.Accepted.Inputs.Model != nil
	if p := run.Phases[events.Finetune]; p != nil {
		tuned = tuned || p.Status() == events.Status(events.Success)
	}
	if tuned {
		return "Tuned model"
	}
	return "Model"
}

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
