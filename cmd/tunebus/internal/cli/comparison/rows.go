package comparison

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// maxRows bounds the rows that are kept in memory; more of a run are not compared.
const maxRows = 1_000_000

// Opener opens a file of scores.
type Opener = scores.Opener

// Rows compares the scores of rows.
type Rows struct {
	Metric string `json:"metric"`
	// Compared rows are in both runs and have the score in both; Better, Worse and
	// Same count them by what the second run did to the score.
	Compared int `json:"compared"`
	Better   int `json:"better"`
	Worse    int `json:"worse"`
	Same     int `json:"same"`
	// OnlyA and OnlyB are rows of one run alone, Unscored are rows of both without
	// the score in one.
	OnlyA    int `json:"only_a"`
	OnlyB    int `json:"only_b"`
	Unscored int `json:"unscored"`
	// Changed are the rows whose score changed most.
	Changed []Row `json:"changed"`
}

// Row is a row whose score changed.
type Row struct {
	// A and B are its positions in the data of the runs, from 0.
	A      int64  `json:"index_a"`
	B      int64  `json:"index_b"`
	Digest string `json:"digest"` // of question and truth
	// Change is the score of the second run minus that of the first.
	ScoreA      float64 `json:"score_a"`
	ScoreB      float64 `json:"score_b"`
	Change      float64 `json:"change"`
	Question    string  `json:"question"`
	GroundTruth string  `json:"ground_truth"`
	AnswerA     string  `json:"answer_a"`
	AnswerB     string  `json:"answer_b"`

	key rowKey
}

// rowKey is the same for rows that are the same: the digest, and how many rows before
// it have that digest.
type rowKey struct {
	digest [12]byte
	before uint32
}

// firstRow is what is known of a row of the first run.
type firstRow struct {
	index int64
	score float32 // NaN: none
	seen  bool
}

// reader reads the rows of a run with their keys.
type reader struct {
	run   string
	open  scores.Opener
	count map[[12]byte]uint32
}

func (r *reader) each(ctx context.Context, use func(rowKey, scores.Row) error) error {
	r.count = map[[12]byte]uint32{}
	rows := 0
	for row, err := range scores.Read(ctx, r.open) {
		if err != nil {
			return err
		}
		if rows++; rows > maxRows {
			return nil
		}
		digest := digestOf(row)
		key := rowKey{digest, r.count[digest]}
		r.count[digest]++
		if err := use(key, row); err != nil {
			return err
		}
	}
	return nil
}

func digestOf(row scores.Row) (digest [12]byte) {
	h := sha256.New()
	for _, text := range append([]string{row.Question, row.GroundTruth}, row.References...) {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	copy(digest[:], h.Sum(nil))
	return digest
}

// rows compares the rows of two runs; nil with a note where that cannot be.
func (c *Comparison) rows(ctx context.Context, a, b events.Run, o Options) (*Rows, error) {
	var readers [2]*reader
	for i, run := range []events.Run{a, b} {
		var ref events.Reference
		if state := run.Phases[events.Evaluation]; state != nil && state.Completed != nil {
			ref, _ = state.Completed.Artifact(events.ArtifactScores)
		}
		if ref.IsZero() {
			c.Notes = append(c.Notes, fmt.Sprintf("run %s has no scores of rows, so rows are not compared", run.ID))
			return nil, nil
		}
		open, err := o.Open(ctx, ref)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			c.miss("the scores of the rows of run %s cannot be read, so rows are not compared: %v", run.ID, err)
			return nil, nil
		}
		readers[i] = &reader{run: run.ID, open: open}
	}
	rows, err := compareRows(ctx, readers, metricsOf(a, b, o.Metric), o.Rows)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errNoMetric):
		c.Notes = append(c.Notes, fmt.Sprintf("rows are not compared: %v", err))
		return nil, nil
	case err != nil:
		c.miss("rows are not compared: %v", err)
		return nil, nil
	}
	return rows, nil
}

// metricsOf are the scores by which rows may be compared, the best one first.
func metricsOf(a, b events.Run, wanted string) []string {
	if wanted != "" {
		return []string{wanted}
	}
	var names []string
	for _, metric := range a.Accepted.Specification.Evaluator.Metrics {
		if slices.Contains(b.Accepted.Specification.Evaluator.Metrics, metric) {
			names = append(names, spec.Scores(metric)...)
		}
	}
	return names
}

// errNoMetric means that no score is in both runs.
var errNoMetric = errors.New("there is no score that rows of both runs have")

// chooseMetric is the first of the scores that a row of both runs has.
func chooseMetric(ctx context.Context, readers [2]*reader, metrics []string) (string, error) {
	have := [2]map[string]bool{{}, {}}
	for i, r := range readers {
		const look = 100
		rows := 0
		for row, err := range scores.Read(ctx, r.open) {
			if err != nil {
				return "", fmt.Errorf("the scores of the rows of run %s cannot be read: %w", r.run, err)
			}
			for name := range row.Scores {
				have[i][name] = true
			}
			if rows++; rows == look {
				break
			}
		}
	}
	for _, name := range metrics {
		if have[0][name] && have[1][name] {
			return name, nil
		}
	}
	text := func(i int) string {
		names := slices.Sorted(maps.Keys(have[i]))
		if len(names) == 0 {
			return fmt.Sprintf("run %s has none", readers[i].run)
		}
		return fmt.Sprintf("run %s has %s", readers[i].run, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("%w: %s; %s", errNoMetric, text(0), text(1))
}

// compareRows reads the first run, then the second one, and then the answers of the
// first one that are listed.
func compareRows(ctx context.Context, readers [2]*reader, metrics []string, listed int) (*Rows, error) {
	metric, err := chooseMetric(ctx, readers, metrics)
	if err != nil {
		return nil, err
	}
	out := &Rows{Metric: metric, Changed: []Row{}}
	first := map[rowKey]firstRow{}
	err = readers[0].each(ctx, func(key rowKey, row scores.Row) error {
		score, ok := row.Scores[metric]
		if !ok {
			score = math.NaN()
		}
		first[key] = firstRow{index: row.Index, score: float32(score)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = readers[1].each(ctx, func(key rowKey, row scores.Row) error {
		was, both := first[key]
		score, scored := row.Scores[metric]
		switch {
		case !both:
			out.OnlyB++
			return nil
		case !scored || math.IsNaN(float64(was.score)):
			out.Unscored++
		default:
			out.add(key, was, row, score, listed)
		}
		was.seen = true
		first[key] = was
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, was := range first {
		if !was.seen {
			out.OnlyA++
		}
	}
	return out, out.addAnswers(ctx, readers[0])
}

// add counts a row of both runs, and lists it if it is one of those that changed
// most.
func (r *Rows) add(key rowKey, was firstRow, row scores.Row, score float64, listed int) {
	r.Compared++
	change := score - float64(was.score)
	const noise = 1e-6 // the first score was rounded
	switch {
	case math.Abs(change) < noise:
		r.Same++
		return
	case change > 0:
		r.Better++
	default:
		r.Worse++
	}
	more := func(x Row, change float64) int { return cmp.Compare(math.Abs(change), math.Abs(x.Change)) }
	at, _ := slices.BinarySearchFunc(r.Changed, change, more)
	for at < len(r.Changed) && math.Abs(r.Changed[at].Change) == math.Abs(change) { // the earlier row first
		at++
	}
	if at >= listed {
		return
	}
	r.Changed = slices.Insert(r.Changed, at, Row{
		A: was.index, B: row.Index, Digest: hex.EncodeToString(key.digest[:]), ScoreA: float64(was.score), ScoreB: score, Change: change,
		Question: row.Question, GroundTruth: row.GroundTruth, AnswerB: row.Answer, key: key,
	})
	r.Changed = r.Changed[:min(len(r.Changed), listed)]
}

// addAnswers adds the answers of the first run.
func (r *Rows) addAnswers(ctx context.Context, first *reader) error {
	if len(r.Changed) == 0 {
		return nil
	}
	byKey := map[rowKey]*Row{}
	for i := range r.Changed {
		byKey[r.Changed[i].key] = &r.Changed[i]
	}
	return first.each(ctx, func(key rowKey, row scores.Row) error {
		if listed := byKey[key]; listed != nil {
			listed.AnswerA = row.Answer
		}
		return nil
	})
}
