package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/images"
	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Info describes a data set.
type Info struct {
	// Shape is what the data set was read as.
	Shape shape.Shape
	// Counts are the rows, with those that are left out.
	Counts Counts
	// SHA256 identifies the content, in hexadecimal: the digest of a single
	// file, or the digest of the output of sha256sum for several files (digest,
	// two spaces, name relative to the folder, line feed).
	SHA256  string
	Bytes   int64    // of all files, as stored
	Files   []string // relative to the folder, with "/"; sorted
	Columns []string // of all files, in the order in which they occur
	Format  reader.Format
	// Config and Split are those that were read; empty if there are none.
	Config string
	Split  source.Split
	// Notes say what was chosen and what was left out, for the person. Warnings are
	// the notes about more than a tenth of the rows. Both begin with the key that
	// names the data set.
	Notes, Warnings []string
}

// Event returns the description of the data set for events. key is the key of the
// specification that named the data set.
func (i Info) Event(key string) events.Dataset {
	return events.Dataset{Key: key, SHA256: i.SHA256, Size: i.Bytes, Rows: i.Counts.Rows}
}

// Dataset is a data set that can be read to its end. It has no open files and no
// rows in memory, and may be used concurrently.
type Dataset struct {
	files     []file
	want      Want
	section   string // of the keys: fine_tuner
	converter *shape.Converter
	tally     tally
	info      Info
	columns   map[string]bool // those of info
	beside    map[string]bool // see ImageFiles
	sheets    []string        // notes about sheets that are not read
}

// Open finds the files, recognises their shape, and reads them once to the end, so
// that an error in the last row is known before work starts on the first. Errors
// name the file as the person knows it. Among them are [ErrEmpty],
// [reader.ErrUnknownFormat], [*shape.NoShapeError], [*layout.MissingSplitError],
// [*layout.MissingConfigError] and [*reader.Error].
func Open(ctx context.Context, src source.Source, want Want) (*Dataset, error) {
	if src.Name == "" {
		src.Name = src.Path
	}
	section, _, _ := strings.Cut(src.Key, ".")
	files, choice, err := findSource(src)
	if err != nil {
		return nil, err
	}
	d := &Dataset{files: files, want: want, section: section, columns: map[string]bool{}, beside: map[string]bool{}}
	d.info = Info{Format: files[0].format, Config: choice.Config, Split: choice.Split}
	shapeNotes, err := d.recognise(ctx)
	if err != nil {
		return nil, err
	}
	strays := findStrays(d.converter, want.Shape != "" && want.Shape != shape.Auto)
	for _, f := range files {
		if err := d.inspect(ctx, f, strays); err != nil {
			return nil, err
		}
	}
	if err := strays.fault(section); err != nil {
		return nil, err
	}
	d.info.Shape, d.info.Counts = d.converter.Shape, d.tally.Counts
	if err := d.tally.fault(d.converter.Shape, want.Columns, section); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Name, err)
	}
	d.info.SHA256, d.info.Bytes, err = digest(ctx, files)
	if err != nil {
		return nil, err
	}
	notes, warnings := d.tally.report(d.converter.Shape, want.Columns, want.Use, section)
	d.info.Notes = prefixed(src.Key, slices.Concat(choice.Notes, d.sheets, shapeNotes, notes, d.withoutEffect()))
	d.info.Warnings = prefixed(src.Key, warnings)
	return d, nil
}

// prefixed puts the key in front of notes.
func prefixed(key string, notes []string) []string {
	for i, n := range notes {
		if key != "" {
			notes[i] = key + ": " + n
		}
	}
	return notes
}

// recognise reads records until the shape of the data set is known.
func (d *Dataset) recognise(ctx context.Context) (notes []string, err error) {
	var survey shape.Survey
	for {
		if err := d.surveyFiles(ctx, &survey); err != nil {
			return nil, err
		}
		if len(survey.Columns()) == 0 {
			return nil, fmt.Errorf("%s: %w", d.files[0].shown, ErrEmpty)
		}
		d.converter, notes, err = survey.Recognise(d.want.options(d.section))
		if err == nil {
			return notes, nil
		}
		noShape, unknown := errors.AsType[*shape.NoShapeError](err)
		if !unknown || !survey.IsFinished() {
			if unknown {
				err = d.withDelimiter(noShape)
			}
			if len(d.sheets) > 0 {
				return nil, fmt.Errorf("%s: %w; %s", d.files[0].shown, err, d.sheets[0])
			}
			return nil, fmt.Errorf("%s: %w", d.files[0].shown, err)
		}
		survey = shape.Survey{Whole: true}
	}
}

// withDelimiter adds to the error of a table of one column that its delimiter may not
// have been found.
func (d *Dataset) withDelimiter(err *shape.NoShapeError) error {
	if f := d.files[0].format; len(err.Columns) != 1 || f != reader.CSV && f != reader.TSV || d.want.Delimiter != "" {
		return err
	}
	c := reader.LooksDelimited(err.Columns[0])
	if c == 0 {
		return err
	}
	return fmt.Errorf("%w; if %q separates the cells, set %s = %q", err, c, d.key("data_delimiter"), string(rune(c)))
}

// key is a key of the section that names the data set.
func (d *Dataset) key(name string) string {
	if d.section == "" {
		return name
	}
	return d.section + "." + name
}

// withoutEffect are notes about keys that the format of the files has no use for.
func (d *Dataset) withoutEffect() (notes []string) {
	text, table := false, false
	switch d.info.Format {
	case reader.CSV, reader.TSV:
		text, table = true, true
	case reader.JSON, reader.JSONL:
		text = true
	}
	if d.want.Delimiter != "" && !table {
		notes = append(notes, fmt.Sprintf("%s has no effect on %s files", d.key("data_delimiter"), d.info.Format))
	}
	if d.want.Encoding != "" && !text {
		notes = append(notes, fmt.Sprintf("%s has no effect on %s files", d.key("data_encoding"), d.info.Format))
	}
	return notes
}

// surveyFiles shows files to a survey, until that has seen enough.
func (d *Dataset) surveyFiles(ctx context.Context, survey *shape.Survey) error {
	for _, f := range d.files {
		if err := d.survey(ctx, f, survey); err != nil {
			return err
		}
		if survey.IsFinished() {
			return nil
		}
	}
	return nil
}

// survey shows the records of a file to a survey, until that has seen enough.
func (d *Dataset) survey(ctx context.Context, f file, survey *shape.Survey) (err error) {
	defer progress.Doing(ctx, "reading "+f.shown)()
	r, err := d.open(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if others := r.OtherSheets(); len(others) > 0 {
		note := fmt.Sprintf("%s: the first sheet of a workbook is read; not read: %s", f.shown, quoted(others))
		if !slices.Contains(d.sheets, note) {
			d.sheets = append(d.sheets, note)
		}
	}
	survey.Add(r.Columns())
	for !survey.IsFinished() {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		survey.Record(record)
	}
	return nil
}

func (d *Dataset) open(ctx context.Context, f file) (*reader.File, error) {
	options := reader.Options{Name: f.shown, Encoding: d.want.Encoding, EncodingKey: d.key("data_encoding"), DelimiterKey: d.key("data_delimiter")}
	var err error
	if options.Delimiter, err = source.Delimiter(d.want.Delimiter); err != nil {
		return nil, fmt.Errorf("%s: %w", options.DelimiterKey, err)
	}
	r, err := reader.Open(ctx, f.path, options)
	if _, isPath := errors.AsType[*fs.PathError](err); isPath {
		err = withoutPath(f.shown, err)
	}
	return r, err
}

// inspect reads a file to its end.
func (d *Dataset) inspect(ctx context.Context, f file, strays *strays) error {
	before := d.tally.Read
	find := images.Folder{Dir: filepath.Dir(f.path), Verify: true}
	columns, err := d.read(ctx, f, slices.Concat(d.converter.Columns(), strays.others.Columns), find, &d.tally.Read, func(r row.Row, lack shape.Lack, from reader.Record) error {
		d.tally.add(r, lack, d.want.Use)
		strays.row(from, r.Place, lack)
		for _, image := range r.Images {
			if image.Path != "" {
				d.beside[image.Path] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A file without rows may have no columns. The other files may have rows.
	if d.tally.Read > before {
		if err := d.converter.Check(columns); err != nil {
			return fmt.Errorf("%s: %w", f.shown, err)
		}
	}
	d.info.Files = append(d.info.Files, f.name)
	for _, column := range columns {
		if !d.columns[column] {
			d.columns[column] = true
			d.info.Columns = append(d.info.Columns, column)
		}
	}
	return nil
}

// Info describes the data set at the time of [Open].
func (d *Dataset) Info() Info {
	info := d.info
	info.Files, info.Columns = slices.Clone(info.Files), slices.Clone(info.Columns)
	info.Notes, info.Warnings = slices.Clone(info.Notes), slices.Clone(info.Warnings)
	return info
}

// ImageFiles are the files that the rows of a data set of one file name as images,
// relative to the folder of that file, with "/"; sorted. They belong to the data set
// wherever the file is copied.
func (d *Dataset) ImageFiles() ([]string, error) {
	var names []string
	if len(d.files) != 1 {
		return nil, nil
	}
	for path := range d.beside {
		name, err := filepath.Rel(filepath.Dir(d.files[0].path), path)
		if err != nil {
			return nil, err
		}
		names = append(names, filepath.ToSlash(name))
	}
	slices.Sort(names)
	return names, nil
}

// errStop stops reading a file when the caller of Rows stops.
var errStop = errors.New("no more rows are wanted")

// Rows iterates over the rows, each time from the first one. It stops after the
// first error, which is that of ctx if ctx is cancelled.
func (d *Dataset) Rows(ctx context.Context) iter.Seq2[row.Row, error] {
	return func(yield func(row.Row, error) bool) {
		position := int64(0)
		columns := d.converter.Columns()
		for _, f := range d.files {
			find := images.Folder{Dir: filepath.Dir(f.path)}
			_, err := d.read(ctx, f, columns, find, &position, func(r row.Row, lack shape.Lack, _ reader.Record) error {
				position++
				if lack == shape.Answer || lack == shape.Question {
					return nil
				}
				if !yield(r, nil) {
					return errStop
				}
				return nil
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(row.Row{}, err)
				return
			}
		}
	}
}
