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

// kept is how many checkpoints are kept: one more in case that one is damaged.
const kept = 2

// judgement is what the judges say about a row.
type judgement struct {
	Index int64   `json:"index"`
	Own   verdict `json:"own"`
	Base  verdict `json:"base,omitzero"`
	whole bool
}

// records keep the judgements of an evaluation, and save all of them now and
// then as the job's checkpoint. The reference metrics are not kept: they are
// computed again sooner than read. A row that a judge had no score for is not
// kept either, so that it is judged again. Nil records keep nothing.
type records struct {
	job     *engine.Job
	judging *judging
	every   time.Duration
	saved   time.Time
	file    *os.File
	done    int64 // rows scored when the newest unsaved judgement came; 0: all are saved
	had     map[int64]judgement
}

// openRecords starts the records of a job with those of an earlier attempt.
func openRecords(job *engine.Job, judging *judging, every time.Duration) (*records, error) {
	if judging == nil {
		return nil, nil
	}
	if every == 0 {
		every = 30 * time.Second
	}
	r := &records{job: job, judging: judging, every: every, saved: time.Now(), had: map[int64]judgement{}}
	if job.Resume.Dir != "" {
		if err := r.resume(job.Resume.Dir); err != nil {
			return nil, fmt.Errorf("judgements of an earlier attempt: %w", err)
		}
	}
	path, err := job.Scratch(judgementsFile)
	if err != nil {
		return nil, err
	}
	if r.file, err = os.Create(path); err != nil {
		return nil, err
	}
	for _, j := range r.had {
		if err := r.write(j); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *records) resume(dir string) error {
	usage, err := os.ReadFile(filepath.Join(dir, usageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(usage, &r.judging.before); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, judgementsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; {
		j := judgement{whole: true}
		err := dec.Decode(&j)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.had[j.Index] = j
	}
}

// of is what the judges said about a row at an earlier attempt.
func (r *records) of(index int64) (judgement, bool) {
	if r == nil {
		return judgement{}, false
	}
	j, ok := r.had[index]
	return j, ok
}

// add keeps a judgement, and saves all of them if it is time; done is how
// many rows are scored.
func (r *records) add(ctx context.Context, j judgement, done int64) error {
	if r == nil || !j.whole {
		return nil
	}
	if _, had := r.had[j.Index]; had {
		return nil
	}
	if err := r.write(j); err != nil {
		return err
	}
	r.done = done
	if time.Since(r.saved) < r.every {
		return nil
	}
	return r.save(ctx)
}

// last saves what was judged since, when ctx has ended; the error is the one
// that ends the work.
func (r *records) last(ctx context.Context, why error) error {
	if r == nil || ctx.Err() == nil || r.done == 0 {
		return why
	}
	return errors.Join(why, r.save(ctx))
}

func (r *records) write(j judgement) error {
	line, err := json.Marshal(j)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("judgement of row %d: %w", j.Index, err)
	}
	return nil
}

func (r *records) save(ctx context.Context) error {
	ctx, end, ok := r.job.Saving(ctx)
	defer end()
	if !ok {
		return nil
	}
	dir, err := r.job.Scratch(fmt.Sprintf("save-%d", r.done))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	usage, err := json.Marshal(r.judging.used())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, usageFile), usage, 0o600); err != nil {
		return err
	}
	if err := copyTo(filepath.Join(dir, judgementsFile), r.file.Name()); err != nil {
		return err
	}
	if err := r.job.Checkpoint(ctx, r.done, dir, kept); err != nil {
		return fmt.Errorf("save judgements: %w", err)
	}
	r.saved, r.done = time.Now(), 0
	return os.RemoveAll(dir)
}

func (r *records) close() {
	if r != nil {
		_ = r.file.Close() // what matters is in a checkpoint, or in the scores
	}
}

func copyTo(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
