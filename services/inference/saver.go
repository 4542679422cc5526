package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// keepCheckpoints is how many checkpoints stay: one more than needed, in case
// the newest is damaged.
const keepCheckpoints = 2

// filePrefix begins the names of the saver's files in the scratch folder. In a
// checkpoint the files have no prefix.
const filePrefix = "given-"

// saver records the answers in the order in which the model gives them, in one
// file for each pass, and saves the files at intervals as the job's checkpoint.
type saver struct {
	job      *engine.Job
	interval time.Duration
	savedAt  time.Time
	files    []*os.File // of the passes so far; the last one grows
	answers  int64      // in the files
	unsaved  bool       // the newest answers are not in a checkpoint
}

func newSaver(job *engine.Job, interval time.Duration) *saver {
	if interval == 0 {
		interval = 30 * time.Second
	}
	return &saver{job: job, interval: interval, savedAt: time.Now()}
}

func (s *saver) close() {
	for _, f := range s.files {
		_ = f.Close() // the answers that count are in a checkpoint or in the artifact
	}
}

// open starts the file of a pass with the answers of the checkpoint, and returns
// these by index.
func (s *saver) open(name string, rows []row.Row) (map[int64]prediction.Prediction, error) {
	answers, err := s.resume(name, rows)
	if err != nil {
		return nil, err
	}
	path, err := s.job.Scratch(filePrefix + name)
	if err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, f)
	for _, answer := range answers {
		if err := s.write(answer); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// resume reads the answers of the checkpoint to questions that are still the
// same.
func (s *saver) resume(name string, rows []row.Row) (map[int64]prediction.Prediction, error) {
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
	answers := map[int64]prediction.Prediction{}
	for p, err := range prediction.Read(f) {
		if errors.Is(err, prediction.ErrEmpty) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("saved answers: %w", err)
		}
		if i := p.Index; i >= 0 && i < int64(len(rows)) && rows[i].Question() == p.Question {
			answers[i] = p
		}
	}
	return answers, nil
}

func (s *saver) write(p prediction.Prediction) error {
	line, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("answer %d: %w", p.Index, err)
	}
	_, err = s.files[len(s.files)-1].Write(append(line, '\n'))
	return err
}

// add records an answer, and saves all answers if the interval is over. total
// is the number of answers.
func (s *saver) add(ctx context.Context, p prediction.Prediction, total int64) error {
	if err := s.write(p); err != nil {
		return err
	}
	s.answers, s.unsaved = total, true
	if time.Since(s.savedAt) < s.interval {
		return nil
	}
	return s.save(ctx)
}

// saveLast saves the newest answers if ctx has ended. It returns why, the error
// that ends the work.
func (s *saver) saveLast(ctx context.Context, why error) error {
	if ctx.Err() == nil || !s.unsaved {
		return why
	}
	return errors.Join(why, s.save(ctx))
}

func (s *saver) save(ctx context.Context) error {
	err := s.job.WriteCheckpoint(ctx, s.answers, keepCheckpoints, func(dir string) error {
		for _, f := range s.files {
			name := strings.TrimPrefix(filepath.Base(f.Name()), filePrefix)
			if err := engine.CopyFile(filepath.Join(dir, name), f.Name()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.savedAt, s.unsaved = time.Now(), false
	}
	return err
}
