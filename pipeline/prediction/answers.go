package prediction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Source is an answers file of any origin and format.
type Source struct {
	Path string
	// Name is the file as the person knows it, for errors. Empty means the path.
	Name string
	// Encoding is the character encoding of a text file; empty means UTF-8, or what
	// a byte order mark says.
	Encoding string
	// Delimiter is the value of inferencer.data_delimiter; empty means that it is
	// found.
	Delimiter string
	// Columns are those that keys of the specification name.
	Columns Columns
	// NeedsGroundTruth refuses a file in which no column has ground truths.
	NeedsGroundTruth bool
}

// Answers is an answers file that was read once to its end, so that its faults are
// known before work starts.
type Answers struct {
	source Source
	names  names
	counts Counts
	notes  []string
}

// Counts are the rows of a file, and those that lack something.
type Counts struct {
	Rows, NoGroundTruth, NoAnswer int64
	// FirstError is the reason that the first row without an answer gives.
	FirstError string
}

// maxFaults is how many faults of a file are named.
const maxFaults = 10

// Open reads an answers file once. Its columns may have tunebus's names, those of
// the original Python pipeline, RAGAS's, or those that keys name. The error names
// the faults of all rows, up to ten. It is a [*NamesError] if the columns are
// unknown, and [ErrEmpty] if there is no row.
func Open(ctx context.Context, s Source) (*Answers, error) {
	if s.Name == "" {
		s.Name = s.Path
	}
	a := &Answers{source: s}
	columns, err := a.scan(ctx)
	if err != nil {
		return nil, err
	}
	if a.counts.Rows == 0 {
		return nil, fmt.Errorf("%s: %w", s.Name, ErrEmpty)
	}
	if a.names, err = chooseNames(s.Name, columns, s.Columns, s.NeedsGroundTruth); err != nil {
		return nil, a.withDelimiter(err)
	}
	other, two := a.names.passedOver(columns)
	if a.names != knownNames()[0] || two {
		a.notes = []string{s.Name + " " + a.names.note(columns)}
	}
	if two {
		a.notes[0] += fmt.Sprintf("; its %q and %q are not read: %s", other.answer, other.groundTruth, otherNames)
	}
	return a, a.check(ctx)
}

// withDelimiter adds to the error of a table of one column that its delimiter may not
// have been found.
func (a *Answers) withDelimiter(err error) error {
	names, ok := errors.AsType[*NamesError](err)
	format, _ := reader.FormatOf(a.source.Path)
	if !ok || len(names.Columns) != 1 || a.source.Delimiter != "" || format != reader.CSV && format != reader.TSV {
		return err
	}
	c := reader.LooksDelimited(names.Columns[0])
	if c == 0 {
		return err
	}
	return fmt.Errorf("%w; if %q separates the cells, set inferencer.data_delimiter = %q", err, c, string(rune(c)))
}

// scan counts the rows, and returns the columns of all of them.
func (a *Answers) scan(ctx context.Context) ([]string, error) {
	f, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	for err == nil {
		if _, err = f.Next(); err == nil {
			a.counts.Rows++
		}
	}
	columns := f.Columns()
	if atEnd(err) {
		err = nil
	}
	return columns, errors.Join(err, f.Close())
}

// check finds the faults of all rows.
func (a *Answers) check(ctx context.Context) error {
	var faults []error
	more, listed := 0, int64(0)
	f, err := a.open(ctx)
	if err != nil {
		return err
	}
	for {
		record, err := f.Next()
		if atEnd(err) {
			break
		}
		if err != nil {
			faults = append(faults, err)
			break
		}
		p, err := a.prediction(f.Format(), record, 0)
		a.counts.add(p)
		if looksListed(record, a.names.groundTruth) {
			listed++
		}
		if err != nil {
			if len(faults) < maxFaults {
				faults = append(faults, err)
			} else {
				more++
			}
		}
	}
	if listed > 0 {
		a.notes = append(a.notes, fmt.Sprintf("%s: %d of %d ground truths (%q) look like lists and are compared as the text that they are; "+
			"several right answers are a list of JSON lines or Parquet, or the JSON of a list in a column %q", a.source.Name, listed, a.counts.Rows, a.names.groundTruth, referencesColumn))
	}
	if more > 0 {
		faults = append(faults, fmt.Errorf("%s: and %d rows more", a.source.Name, more))
	}
	return errors.Join(append(faults, f.Close())...)
}

func (a *Answers) open(ctx context.Context) (*reader.File, error) {
	delimiter, err := source.Delimiter(a.source.Delimiter)
	if err != nil {
		return nil, fmt.Errorf("%s: inferencer.data_delimiter: %w", a.source.Name, err)
	}
	f, err := reader.Open(ctx, a.source.Path, reader.Options{
		Name: a.source.Name, Encoding: a.source.Encoding, EncodingKey: "inferencer.data_encoding", Delimiter: delimiter, DelimiterKey: "inferencer.data_delimiter",
	})
	if errors.Is(err, reader.ErrUnknownFormat) {
		err = fmt.Errorf("%s: %w", a.source.Name, err)
	}
	return f, err
}

// atEnd reports whether a reader has no more records. The cause of a damaged record
// may be an unexpected end, too.
func atEnd(err error) bool {
	_, damaged := errors.AsType[*reader.Error](err)
	return errors.Is(err, io.EOF) && !damaged
}

// Len is the number of rows.
func (a *Answers) Len() int64 { return a.counts.Rows }

// Counts are the rows, and those that lack something.
func (a *Answers) Counts() Counts { return a.counts }

func (c *Counts) add(p Prediction) {
	if p.NoGroundTruth {
		c.NoGroundTruth++
	}
	if p.NoAnswer {
		c.NoAnswer++
	}
	if c.FirstError == "" {
		c.FirstError = p.Error
	}
}

// Notes say under which names the file is read, if they are not tunebus's own, and what
// is unusual about its rows.
func (a *Answers) Notes() []string { return slices.Clone(a.notes) }

// Rows reads the answers one by one. A row's index is its position: an index that
// the data has may occur twice. It ends after the first error.
func (a *Answers) Rows(ctx context.Context) iter.Seq2[Prediction, error] {
	return func(yield func(Prediction, error) bool) {
		f, err := a.open(ctx)
		if err != nil {
			yield(Prediction{}, err)
			return
		}
		defer func() { _ = f.Close() }() // read only
		for i := int64(0); ; i++ {
			record, err := f.Next()
			if atEnd(err) {
				return
			}
			var p Prediction
			if err == nil {
				p, err = a.prediction(f.Format(), record, i)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// prediction reads a record.
func (a *Answers) prediction(format reader.Format, record reader.Record, position int64) (Prediction, error) {
	c := cells{file: a.source.Name, format: format, record: record}
	p := Prediction{Index: position}
	p.System, _ = c.text(systemColumn, systemPromptColumn)
	p.Question, _ = c.text(a.names.question)
	p.KeyFact, _ = c.text(keyFactColumn)
	p.Reasoning, _ = c.text(reasoningColumn)
	p.Error, _ = c.text(errorColumn)
	answer, answered := c.text(a.names.answer)
	p.Answer = answer
	p.NoAnswer = !answered || p.Answer == "" && p.Error != ""
	truths := c.texts(a.names.groundTruth)
	for _, more := range c.texts(referencesColumn) {
		if !slices.Contains(truths, more) {
			truths = append(truths, more)
		}
	}
	switch len(truths) {
	case 0:
		p.NoGroundTruth = true
	case 1:
		p.GroundTruth = truths[0]
	default:
		p.GroundTruth, p.References = truths[0], truths
	}
	return p, errors.Join(c.faults...)
}

// looksListed reports whether a cell is a text that looks like a list.
func looksListed(record reader.Record, column string) bool {
	v, _ := record.Get(column)
	text, err := v.Text()
	return err == nil && v.Kind() == value.Text && value.LooksListed(text)
}

// cells reads the cells of a record as texts.
type cells struct {
	file   string
	format reader.Format
	record reader.Record
	faults []error
}

// text is the first of the columns that has a value. ok is false if none has.
func (c *cells) text(columns ...string) (text string, ok bool) {
	for _, column := range columns {
		v, _ := c.record.Get(column)
		if v.IsMissing() {
			continue
		}
		return c.asText(column, v), true
	}
	return "", false
}

// texts are the texts of a list, or the one text that is no list. Missing values
// are left out. References are a list also where they are its JSON, since tables know
// no lists.
func (c *cells) texts(column string) []string {
	v, _ := c.record.Get(column)
	if list, ok := v.Listed(); ok && column == referencesColumn {
		v = list
	}
	switch v.Kind() {
	case value.Missing:
		return nil
	case value.List:
		var all []string
		for _, item := range v.Items() {
			if !item.IsMissing() {
				all = append(all, c.asText(column, item))
			}
		}
		return all
	}
	return []string{c.asText(column, v)}
}

func (c *cells) asText(column string, v value.Value) string {
	text, err := v.Text()
	if err != nil {
		c.faults = append(c.faults, &reader.Error{File: c.file, Format: c.format, Line: c.record.Line, Column: column, Err: err})
	}
	return text
}
