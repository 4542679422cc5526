package evaluation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/pipeline/engine"
)

// The files of a checkpoint.
const (
	judgementsFile = "judgements.jsonl"
	usageFile      = "usage.json"
)

// keepCheckpoints is how many checkpoints stay: one more than needed, in case
// the newest is damaged.
const keepCheckpoints = 2

// judgement is the judge's scores for a row. The names in JSON are those of
// checkpoints.
type judgement struct {
	// Position is the row's place in the file of answers. An index that the answers
	// themselves have may occur twice.
	Position int64 `json:"index"`
	// Digest is that of the row's texts. Checkpoints of earlier versions have none,
	// and their rows are judged again.
	Digest   string       `json:"digest,omitempty"`
	Tuned    judgedScores `json:"own"`
	Baseline judgedScores `json:"base,omitzero"`
	complete bool         // every metric has a score
}

// judgements records the judgements of an evaluation, and saves all of them at
// intervals as the job's checkpoint. Reference metrics are not recorded: to
// compute them again is faster than to read them. A row without a score from the
// judge is not recorded either, so that a later attempt judges it again. The
// methods of a nil judgements do nothing.
type judgements struct {
	job      *engine.Job
	judging  *judging
	interval time.Duration
	savedAt  time.Time
	file     *os.File
	// unsaved is how many rows were scored when the newest judgement that is in
	// no checkpoint came; 0 if all are saved.
	unsaved int64
	resumed map[int64]judgement // of the checkpoint, by row
}

// openJudgements returns the judgements of a job, which start with those of the
// checkpoint. It returns nil if there is no judge.
func openJudgements(job *engine.Job, judging *judging, interval time.Duration) (*judgements, error) {
	if judging == nil || judging.lacks != nil {
		return nil, nil
	}
	if interval == 0 {
		interval = 30 * time.Second
	}
	js := &judgements{job: job, judging: judging, interval: interval, savedAt: time.Now(), resumed: map[int64]judgement{}}
	if job.Resume.Dir != "" {
		if err := js.resume(job.Resume.Dir); err != nil {
			return nil, fmt.Errorf("judgements of an earlier attempt: %w", err)
		}
	}
	path, err := job.Scratch(judgementsFile)
	if err != nil {
		return nil, err
	}
	if js.file, err = os.Create(path); err != nil {
		return nil, err
	}
	for _, j := range js.resumed {
		if err := js.write(j); err != nil {
			return nil, errors.Join(err, js.file.Close())
		}
	}
	return js, nil
}

// resume reads a checkpoint.
func (js *judgements) resume(dir string) error {
	usage, err := os.ReadFile(filepath.Join(dir, usageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(usage, &js.judging.earlierUsage); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, judgementsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; {
		j := judgement{complete: true}
		err := dec.Decode(&j)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if j.Digest != "" {
			js.resumed[j.Position] = j
		}
	}
}

// earlier returns the judgement of the same row by an earlier attempt. It may be
// called concurrently.
func (js *judgements) earlier(row judgement) (judgement, bool) {
	if js == nil {
		return judgement{}, false
	}
	j, ok := js.resumed[row.Position]
	return j, ok && j.Digest == row.Digest
}

// add records a judgement, and saves all judgements if the interval is over.
// scored is the number of scored rows.
func (js *judgements) add(ctx context.Context, j judgement, scored int64) error {
	if js == nil || !j.complete {
		return nil
	}
	if _, ok := js.earlier(j); ok {
		return nil
	}
	if err := js.write(j); err != nil {
		return err
	}
	js.unsaved = scored
	if time.Since(js.savedAt) < js.interval {
		return nil
	}
	return js.save(ctx)
}

// saveLast saves the newest judgements if ctx has ended. It returns why, the
// error that ends the work.
func (js *judgements) saveLast(ctx context.Context, why error) error {
	if js == nil || ctx.Err() == nil || js.unsaved == 0 {
		return why
	}
	return errors.Join(why, js.save(ctx))
}

func (js *judgements) write(j judgement) error {
	line, err := json.Marshal(j)
	if err == nil {
		_, err = js.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("judgement of row %d: %w", j.Position, err)
	}
	return nil
}

func (js *judgements) save(ctx context.Context) error {
	err := js.job.WriteCheckpoint(ctx, js.unsaved, keepCheckpoints, func(dir string) error {
		usage, err := json.Marshal(js.judging.usage())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, usageFile), usage, 0o600); err != nil {
			return err
		}
		return engine.CopyFile(filepath.Join(dir, judgementsFile), js.file.Name())
	})
	if err != nil {
		return fmt.Errorf("save judgements: %w", err)
	}
	js.savedAt, js.unsaved = time.Now(), 0
	return nil
}

func (js *judgements) close() {
	if js != nil {
		_ = js.file.Close() // the judgements that count are in a checkpoint or in the scores
	}
}
