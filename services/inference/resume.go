package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// kept is how many checkpoints are kept: one more in case that one is damaged.
const kept = 2

// saver keeps the answers in the order in which they are given, one file for
// each pass, and saves all of them now and then as the job's checkpoint.
type saver struct {
	job   *engine.Job
	every time.Duration
	saved time.Time
	files []*os.File // of the passes so far; the last one grows
	done  int64      // answers in them
	fresh bool       // whether some are not saved yet
}

func newSaver(job *engine.Job, every time.Duration) *saver {
	if every == 0 {
		every = 30 * time.Second
	}
	return &saver{job: job, every: every, saved: time.Now()}
}

func (s *saver) close() {
	for _, f := range s.files {
		_ = f.Close() // what matters is in a checkpoint, or in the artifact
	}
}

// open starts the file of a pass with the answers that an earlier attempt
// saved, and returns these by index.
func (s *saver) open(name string, rows []dataset.Row) (map[int64]prediction.Prediction, error) {
	given, err := s.resumed(name, rows)
	if err != nil {
		return nil, err
	}
	path, err := s.job.Scratch("given-" + name)
	if err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, f)
	for _, answer := range given {
		if err := s.write(answer); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// resumed reads what an earlier attempt saved, as far as it answers the same
// questions.
func (s *saver) resumed(name string, rows []dataset.Row) (map[int64]prediction.Prediction, error) {
	if s.job.Resume.Dir == "" {
		return nil, nil
	}
	f, err := os.Open(filepath.Join(s.job.Resume.Dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("saved answers: %w", err)
	}
	defer f.Close()
	given := map[int64]prediction.Prediction{}
	for p, err := range prediction.Read(f) {
		if errors.Is(err, prediction.ErrEmpty) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("saved answers: %w", err)
		}
		if i := p.Index; i >= 0 && i < int64(len(rows)) && rows[i].Question == p.Question {
			given[i] = p
		}
	}
	return given, nil
}

func (s *saver) write(p prediction.Prediction) error {
	line, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("answer %d: %w", p.Index, err)
	}
	_, err = s.files[len(s.files)-1].Write(append(line, '\n'))
	return err
}

// add keeps an answer, and saves all of them if it is time; done is how many
// they are.
func (s *saver) add(ctx context.Context, p prediction.Prediction, done int64) error {
	if err := s.write(p); err != nil {
		return err
	}
	s.done, s.fresh = done, true
	if time.Since(s.saved) < s.every {
		return nil
	}
	return s.save(ctx)
}

// last saves what was answered since, when ctx has ended; the error is the
// one that ends the work.
func (s *saver) last(ctx context.Context, why error) error {
	if ctx.Err() == nil || !s.fresh {
		return why
	}
	return errors.Join(why, s.save(ctx))
}

func (s *saver) save(ctx context.Context) error {
	ctx, end, ok := s.job.Saving(ctx)
	defer end()
	if !ok {
		return nil
	}
	dir, err := s.job.Scratch(fmt.Sprintf("save-%d", s.done))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	for _, f := range s.files {
		name := filepath.Base(f.Name())[len("given-"):]
		if err := copyTo(filepath.Join(dir, name), f.Name()); err != nil {
			return err
		}
	}
	if err := s.job.Checkpoint(ctx, s.done, dir, kept); err != nil {
		return err
	}
	s.saved, s.fresh = time.Now(), false
	return os.RemoveAll(dir)
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
