package inference

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

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

// saved finds the answers of a checkpoint in a file of the saver.
type saved struct {
	file *os.File
	at   []place // by the index of the row; empty without a checkpoint
}

// place is where a line is in a file; its length is 0 if there is none.
type place struct {
	offset int64
	length int32
}

// answer reads the answer to a row with this question. It is false if there is none,
// or one to another question.
func (s saved) answer(index int64, question string) (p prediction.Prediction, ok bool, err error) {
	if index >= int64(len(s.at)) || s.at[index].length == 0 {
		return p, false, nil
	}
	line := make([]byte, s.at[index].length)
	if _, err = s.file.ReadAt(line, s.at[index].offset); err == nil {
		err = json.Unmarshal(line, &p)
	}
	if err != nil {
		return p, false, fmt.Errorf("saved answer %d: %w", index, err)
	}
	return p, p.Question == question, nil
}

// open starts the file of a pass with the answers of the checkpoint. rows is the
// number of rows.
func (s *saver) open(name string, rows int64) (saved, error) {
	path, err := s.job.Scratch(filePrefix + name)
	if err != nil {
		return saved{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return saved{}, err
	}
	s.files = append(s.files, f)
	return s.resume(name, rows)
}

// resume copies the answers of the checkpoint to the newest file.
func (s *saver) resume(name string, rows int64) (saved, error) {
	out := saved{file: s.files[len(s.files)-1]}
	if s.job.Resume.Dir == "" {
		return out, nil
	}
	f, err := os.Open(filepath.Join(s.job.Resume.Dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("saved answers: %w", err)
	}
	defer f.Close()
	out.at = make([]place, rows)
	written := bufio.NewWriter(out.file)
	offset := int64(0)
	for p, err := range prediction.Read(f) {
		if errors.Is(err, prediction.ErrEmpty) {
			break
		}
		if err != nil {
			return out, fmt.Errorf("saved answers: %w", err)
		}
		if p.Index < 0 || p.Index >= rows {
			continue
		}
		length, err := write(written, p)
		if err != nil {
			return out, err
		}
		if out.at[p.Index].length == 0 {
			s.answers++
		}
		out.at[p.Index] = place{offset: offset, length: int32(length)} // lines are at most 16 MiB long
		offset += int64(length)
		s.job.Advance(1)
	}
	return out, written.Flush()
}

// write writes a line, and returns its length.
func write(w io.Writer, p prediction.Prediction) (int, error) {
	line, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("answer %d: %w", p.Index, err)
	}
	return w.Write(append(line, '\n'))
}

// add records an answer, and saves all answers if the interval is over.
func (s *saver) add(ctx context.Context, p prediction.Prediction) error {
	if _, err := write(s.files[len(s.files)-1], p); err != nil {
		return err
	}
	s.answers++
	s.unsaved = true
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
