package runindex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"github.com/klauspost/compress/s2"
)

const (
	resultPrefix = "result."
	// maxResultsBytes bounds the results of a page before they are compressed.
	maxResultsBytes = 4 << 20
)

func resultKey(n uint64) string { return resultPrefix + strconv.FormatUint(n, 10) }

// result is what a list as JSON says of a run that has ended, beside its line.
type result struct {
	// newest is that of the line to which it belongs. A result is written after its
	// page, so it may be older.
	newest  uint64
	summary []byte // JSON on one line
	// whole is set if the summary is as it was written, by its checksum.
	whole bool
}

// results are those of the runs of a page, by run.
type results map[string]result

// of returns the result of a line; none if it has none, or only that of an older line.
func (r results) of(l Line) []byte {
	found, ok := r[l.RunID]
	if !ok || found.newest != l.Newest || !found.whole && !json.Valid(found.summary) {
		return nil
	}
	return found.summary
}

// resultsOf are the results of the lines of a page: those that were just made, and of the
// other lines those that there were before.
func resultsOf(lines []Line, before results) results {
	now := results{}
	for _, l := range lines {
		if len(l.Result) > 0 {
			now[l.RunID] = result{newest: l.Newest, summary: l.Result}
		} else if old := before.of(l); old != nil {
			now[l.RunID] = result{newest: l.Newest, summary: old}
		}
	}
	return now
}

// encode writes results: compressed, and a line for each with its run, the sequence, the
// checksum and the summary. Long ones are left out if they are too many for one message; lists read the
// facts of their runs.
func (r results) encode() []byte {
	if value, ok := r.compress(maxResultsBytes); ok {
		return value
	}
	value, _ := r.compress(maxPageBytes / len(r)) // all of them fit then, also uncompressed
	return value
}

// compress is encode for the results that are no longer than a bound. ok is false if they
// are too long together.
func (r results) compress(longest int) (value []byte, ok bool) {
	var text bytes.Buffer
	for run, one := range r {
		line := fmt.Sprintf("%s %d%s%08x %s\n", run, one.newest, checked, crc32.ChecksumIEEE(one.summary), one.summary)
		if len(line) <= longest {
			text.WriteString(line)
		}
	}
	if text.Len() > maxResultsBytes {
		return nil, false
	}
	value = s2.EncodeBetter(nil, text.Bytes())
	return value, len(value) <= maxPageBytes
}

// checked stands between the sequence and the checksum. Earlier versions wrote no checksum, and
// leave a line with one out: they read the facts of its run.
const checked = "#"

// decodeResults reads what encode wrote. A line that is none is left out. A checksum is
// compared in a tenth of the time in which a summary is read as JSON.
func decodeResults(value []byte) (results, error) {
	size, err := s2.DecodedLen(value)
	if err != nil {
		return nil, err
	}
	if size > maxResultsBytes {
		return nil, errors.New("the results of the page are longer than the program makes them")
	}
	text, err := s2.Decode(nil, value)
	if err != nil {
		return nil, err
	}
	all := results{}
	for line := range bytes.Lines(text) {
		run, rest, _ := bytes.Cut(line, []byte(" "))
		newest, summary, ok := bytes.Cut(rest, []byte(" "))
		newest, sum, hasSum := bytes.Cut(newest, []byte(checked))
		sequence, err := strconv.ParseUint(string(newest), 10, 64)
		summary, ended := bytes.CutSuffix(summary, []byte("\n"))
		if !ok || !ended || err != nil {
			continue
		}
		if hasSum {
			want, err := strconv.ParseUint(string(sum), 16, 32)
			if err != nil || uint32(want) != crc32.ChecksumIEEE(summary) {
				continue // it is damaged
			}
		}
		all[string(run)] = result{sequence, slices.Clip(summary), hasSum}
	}
	return all, nil
}
