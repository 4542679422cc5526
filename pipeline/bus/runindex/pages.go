package runindex

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

const (
	// pageSpan is how many sequences of the stream of facts a page stands for. Each
	// run stores two facts at least, so a page has 64 lines at most, unless nobody
	// takes the runs that are accepted.
	pageSpan = 128
	// maxPageBytes bounds a page, as a server takes messages of 128 KiB at least.
	maxPageBytes = 100 << 10
	// pagesAtOnce is how many pages a list reads with one request, firstPages with the
	// first. Each comes with its results, and one answer holds 16 MiB.
	pagesAtOnce, firstPages = 64, 4

	pagePrefix = "page."
	stateKey   = "state"
	// markerTTL is how long the marker of a removed page stays.
	markerTTL = time.Hour

	bucketStream  = "KV_" + topology.BucketRuns
	subjectPrefix = "$KV." + topology.BucketRuns + "."
	// operationHeader marks a message that removed a key.
	operationHeader = "KV-Operation"
)

// page is the value of a key: the lines of runs, in the order in which they were
// accepted.
type page struct {
	Runs []Line `json:"runs"`
}

func pageOf(accepted uint64) uint64 { return accepted / pageSpan }

func pageKey(n uint64) string { return pagePrefix + strconv.FormatUint(n, 10) }

// put adds a line, or replaces the run's. An older line replaces no newer one, and
// a run that is archived stays so.
func (p *page) put(line Line) {
	at, found := slices.BinarySearchFunc(p.Runs, line.Accepted, func(l Line, accepted uint64) int { return cmp.Compare(l.Accepted, accepted) })
	switch {
	case !found:
		p.Runs = slices.Insert(p.Runs, at, line)
	case p.Runs[at].RunID != line.RunID || p.Runs[at].Newest <= line.Newest:
		line.Archived = line.Archived || p.Runs[at].Archived && p.Runs[at].RunID == line.RunID
		p.Runs[at] = line
	}
}

// remove removes the line of a run.
func (p *page) remove(run string) {
	p.Runs = slices.DeleteFunc(p.Runs, func(l Line) bool { return l.RunID == run })
}

// encode writes a page. One that is too large has no labels; readers take them from
// the facts.
func (p page) encode() ([]byte, error) {
	value, err := json.Marshal(p)
	if err != nil || len(value) <= maxPageBytes {
		return value, err
	}
	short := page{Runs: slices.Clone(p.Runs)}
	for i := range short.Runs {
		l := &short.Runs[i]
		l.LabelsCut = l.LabelsCut || len(l.Labels) > 0
		l.Labels, l.Error, l.Unreadable = nil, "", events.Cut(l.Unreadable, maxErrorBytes)
	}
	return json.Marshal(short)
}

// pageStore reads and writes the pages of the bucket.
type pageStore struct {
	conn   *conn.Conn
	stored streams.Reader
}

// change replaces a page by what edit makes of it. The error is [conn.ErrRevision]
// if somebody else wrote it meanwhile.
func (s pageStore) change(ctx context.Context, n uint64, edit func(*page) (changed bool)) error {
	bucket, err := s.conn.Bucket(ctx, topology.BucketRuns)
	if err != nil {
		return err
	}
	var p page
	value, revision, err := bucket.Get(ctx, pageKey(n))
	switch {
	case errors.Is(err, conn.ErrKeyNotFound):
		revision = 0
	case err != nil:
		return fmt.Errorf("read page %d of the list of runs: %w", n, err)
	default:
		if json.Unmarshal(value, &p) != nil {
			p = page{} // written by nobody of ours; the facts make it anew
		}
	}
	had := len(p.Runs)
	if !edit(&p) {
		return nil
	}
	if len(p.Runs) == 0 {
		if revision == 0 {
			return nil
		}
		if err := bucket.Purge(ctx, resultKey(n), markerTTL); err != nil {
			return fmt.Errorf("remove the results of page %d of the list of runs: %w", n, err)
		}
		return bucket.Purge(ctx, pageKey(n), markerTTL)
	}
	if value, err = p.encode(); err != nil {
		return err
	}
	if revision == 0 {
		_, err = bucket.Create(ctx, pageKey(n), value)
	} else {
		_, err = bucket.Update(ctx, pageKey(n), value, revision)
	}
	if err != nil {
		return fmt.Errorf("write page %d of the list of runs: %w", n, err)
	}
	if len(p.Runs) < had || slices.ContainsFunc(p.Runs, func(l Line) bool { return len(l.Result) > 0 }) {
		return s.putResults(ctx, bucket, n, p.Runs)
	}
	return nil
}

// putResults stores the results of the lines that a page has. Two processes may do so at
// the same time; what one of them loses then, lists read from the facts.
func (s pageStore) putResults(ctx context.Context, bucket *conn.Bucket, n uint64, lines []Line) error {
	value, _, err := bucket.Get(ctx, resultKey(n))
	var before results
	switch {
	case errors.Is(err, conn.ErrKeyNotFound):
	case err != nil:
		return fmt.Errorf("read the results of page %d of the list of runs: %w", n, err)
	default:
		before, _ = decodeResults(value) // what nobody of ours wrote is replaced
	}
	now := resultsOf(lines, before)
	if len(now) == 0 {
		err = bucket.Purge(ctx, resultKey(n), markerTTL)
	} else {
		err = bucket.Put(ctx, resultKey(n), now.encode())
	}
	if err != nil {
		return fmt.Errorf("write the results of page %d of the list of runs: %w", n, err)
	}
	return nil
}

// list lists the pages that there are, the newest first.
func (s pageStore) list(ctx context.Context) ([]uint64, error) {
	var numbers []uint64
	err := s.conn.Request(ctx, conn.ListSubjects, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, bucketStream)
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjectPrefix+pagePrefix+"*"))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			if n, err := strconv.ParseUint(strings.TrimPrefix(subject, subjectPrefix+pagePrefix), 10, 64); err == nil {
				numbers = append(numbers, n)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the list of runs: %w", err)
	}
	slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// read reads pages and returns their lines, the newest run first, with their results if
// those are wanted. A page that is gone or that nobody can read has no lines.
func (s pageStore) read(ctx context.Context, numbers []uint64, withResults bool) (pages iter.Seq[[]Line], err error) {
	filters := make([]string, 0, 2*len(numbers))
	for _, n := range numbers {
		filters = append(filters, subjectPrefix+pageKey(n))
		if withResults {
			filters = append(filters, subjectPrefix+resultKey(n))
		}
	}
	msgs, err := s.stored.LatestOfEach(ctx, bucketStream, filters)
	if err != nil {
		return nil, fmt.Errorf("read the list of runs: %w", err)
	}
	values := make(map[string][]byte, len(msgs))
	for _, m := range msgs {
		if m.Header.Get(operationHeader) == "" {
			values[strings.TrimPrefix(m.Subject, subjectPrefix)] = m.Data
		}
	}
	return func(yield func([]Line) bool) {
		for _, n := range numbers {
			if lines := s.decode(n, values[pageKey(n)], values[resultKey(n)]); len(lines) > 0 && !yield(lines) {
				return
			}
		}
	}, nil
}

// decode reads a page and the results of its lines.
func (s pageStore) decode(n uint64, value, resultsOf []byte) []Line {
	var p page
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, &p); err != nil {
		s.conn.Logger().Warn("a page of the list of runs cannot be read", "key", pageKey(n), "error", err)
		return nil
	}
	slices.Reverse(p.Runs)
	if resultsOf == nil {
		return p.Runs
	}
	found, err := decodeResults(resultsOf)
	if err != nil {
		s.conn.Logger().Warn("the results of a page of the list of runs cannot be read", "key", resultKey(n), "error", err)
		return p.Runs
	}
	for i, l := range p.Runs {
		p.Runs[i].Result = found.of(l)
	}
	return p.Runs
}

// each calls each with the lines of pages in their order. It reads ahead: while the caller
// looks at a page, the next ones come.
func (s pageStore) each(ctx context.Context, numbers []uint64, withResults bool, each func(Line) error) error {
	const aheadPages = 8
	ctx, stop := context.WithCancelCause(ctx)
	ahead := make(chan []Line, aheadPages)
	var reading error
	go func() {
		defer close(ahead) // behind the last use of reading
		for some := range chunks(numbers) {
			var pages iter.Seq[[]Line]
			if pages, reading = s.read(ctx, some, withResults); reading != nil {
				return
			}
			for lines := range pages {
				select {
				case ahead <- lines:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	defer func() {
		stop(errEnough)
		for range ahead { // until the reader has ended
		}
	}()
	for lines := range ahead {
		for _, l := range lines {
			if err := each(l); err != nil {
				return err
			}
		}
	}
	if reading == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return reading
}

// chunks are the pages of one request each: few at first, since most lists are short.
func chunks(numbers []uint64) iter.Seq[[]uint64] {
	return func(yield func([]uint64) bool) {
		for most := firstPages; len(numbers) > 0; most = min(4*most, pagesAtOnce) {
			some := numbers[:min(most, len(numbers))]
			numbers = numbers[len(some):]
			if !yield(some) {
				return
			}
		}
	}
}

// edit is change, again if somebody else wrote the page meanwhile.
func (s pageStore) edit(ctx context.Context, accepted uint64, edit func(*page) bool) error {
	const tries = 5
	for try := 1; ; try++ {
		err := s.change(ctx, pageOf(accepted), edit)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil
		}
		if !errors.Is(err, conn.ErrRevision) || try == tries {
			return err
		}
	}
}

// clear empties the bucket, all but the state.
func (s pageStore) clear(ctx context.Context) error {
	err := s.conn.Request(ctx, conn.Purge, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, bucketStream)
		if err != nil {
			return err
		}
		for _, prefix := range []string{resultPrefix, pagePrefix} {
			if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subjectPrefix+prefix+"*")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("empty bucket %s: %w", topology.BucketRuns, err)
	}
	return nil
}
