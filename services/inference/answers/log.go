package answers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

const (
	// fileName is the file in a checkpoint.
	fileName = "answers.jsonl"
	// keepCheckpoints is how many checkpoints stay: one more than needed, in case the
	// newest is damaged.
	keepCheckpoints = 2
	// syncAnswers and syncTime bound what the loss of power costs.
	syncAnswers = 64
	syncTime    = time.Second
)

// Config says where answers are kept.
type Config struct {
	Job *engine.Job
	// Rows is the number of questions.
	Rows int64
	// Folder is a folder of the machine, for the answers of all jobs, that outlives the
	// process. Empty: there is none, and a killed process loses what is in no checkpoint.
	Folder string
	// SaveEvery is how often the answers are stored as a checkpoint. Default 30 s.
	SaveEvery time.Duration
	// Secrets are those of the worker, which no answer may have.
	Secrets *redaction.Secrets
}

// Answer is an answer to a question. The names in JSON are those of checkpoints.
type Answer struct {
	// Pass tells the answers of the base model from those of the tuned one.
	Pass string `json:"pass"`
	Row  int64  `json:"row"`
	// Of is a digest of all that the answer depends on.
	Of string `json:"of"`

	Prediction prediction.Prediction `json:"answer"`
	// Hidden says that a secret of the worker stood in it.
	Hidden bool `json:"hidden,omitempty"`
}

// Log keeps the answers of a job. It is safe for concurrent use.
type Log struct {
	cfg    Config
	folder string // of the job on this machine; empty: there is none

	mu       sync.Mutex
	file     *os.File
	size     int64
	at       map[string][]place // by pass
	answers  int64
	unsynced int
	syncedAt time.Time

	hidden map[string]int64 // by pass, see Hidden

	saving  chan struct{} // holds a value while a checkpoint is stored
	savedAt time.Time
	saved   int64 // answers in the newest checkpoint
}

// place is where a line is in the file; its length is 0 if there is none.
type place struct {
	offset int64
	length int32
	failed bool // the line says why there is no answer
}

// Open opens the answers of a job, with those of its checkpoint and of the earlier
// attempts on this machine.
func Open(cfg Config) (*Log, error) {
	if cfg.SaveEvery == 0 {
		cfg.SaveEvery = 30 * time.Second
	}
	l := &Log{cfg: cfg, at: map[string][]place{}, hidden: map[string]int64{}, saving: make(chan struct{}, 1), syncedAt: time.Now(), savedAt: time.Now()}
	earlier, err := l.create()
	if err != nil {
		return nil, fmt.Errorf("the file of the answers: %w", err)
	}
	for _, path := range earlier {
		if err := l.merge(path); err != nil {
			return nil, errors.Join(fmt.Errorf("answers of an earlier attempt: %w", err), l.file.Close())
		}
	}
	err = l.file.Sync()
	for _, path := range earlier {
		if l.folder != "" && filepath.Dir(path) == l.folder && err == nil {
			err = os.Remove(path) // what it has is in the new file
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the file of the answers: %w", err), l.file.Close())
	}
	return l, nil
}

// Find returns the answer to the question of a row; false if there is none, one to
// another question, or only the reason why an earlier attempt got none.
func (l *Log) Find(pass string, row int64, of string) (prediction.Prediction, bool, error) {
	a, ok, err := l.read(pass, row)
	return a.Prediction, ok && a.Of == of && !a.Prediction.NoAnswer, err
}

func (l *Log) read(pass string, row int64) (a Answer, ok bool, err error) {
	l.mu.Lock()
	p := place{}
	if rows := l.at[pass]; row < int64(len(rows)) {
		p = rows[row]
	}
	l.mu.Unlock()
	if p.length == 0 {
		return a, false, nil
	}
	line := make([]byte, p.length)
	if _, err = l.file.ReadAt(line, p.offset); err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return a, false, fmt.Errorf("answer to row %d: %w", row, err)
	}
	return a, true, nil
}

// Add keeps an answer. Now and then it also stores all answers as a checkpoint, while
// other answers can be added.
func (l *Log) Add(ctx context.Context, a Answer) error {
	sync, err := l.append(l.withoutSecrets(a))
	if err == nil && sync {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("keep the answer to row %d: %w", a.Row, err)
	}
	select {
	case l.saving <- struct{}{}:
		defer func() { <-l.saving }()
	default:
		return nil // somebody stores a checkpoint
	}
	if time.Since(l.savedAt) < l.cfg.SaveEvery {
		return nil
	}
	return l.save(ctx)
}

// append writes an answer, and says whether the file has to be synced.
func (l *Log) append(a Answer) (sync bool, err error) {
	line, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		return false, err
	}
	l.index(a, len(line))
	if l.unsynced++; l.unsynced < syncAnswers && time.Since(l.syncedAt) < syncTime {
		return false, nil
	}
	l.unsynced, l.syncedAt = 0, time.Now()
	return true, nil
}

// index notes the line of an answer that was written at the end of the file.
func (l *Log) index(a Answer, length int) {
	rows := l.at[a.Pass]
	if rows == nil {
		rows = make([]place, l.cfg.Rows)
		l.at[a.Pass] = rows
	}
	if rows[a.Row].length == 0 {
		l.answers++
	}
	rows[a.Row] = place{offset: l.size, length: int32(length), failed: a.Prediction.NoAnswer} // an answer has a bound far below that
	l.size += int64(length)
}

// Write writes the answers of a pass in the order of the rows. It fails if one is missing.
// One caller at a time may write.
func (l *Log) Write(pass string, out *prediction.Writer) error {
	l.hidden[pass] = 0
	for row := range l.cfg.Rows {
		a, ok, err := l.read(pass, row)
		if err == nil && !ok {
			err = fmt.Errorf("row %d has no answer", row)
		}
		if a.Hidden {
			l.hidden[pass]++
		}
		if err == nil {
			err = out.Write(a.Prediction)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// SaveLast stores the newest answers as a checkpoint if ctx has ended. It returns why,
// the error that ends the work.
func (l *Log) SaveLast(ctx context.Context, why error) error {
	l.saving <- struct{}{}
	defer func() { <-l.saving }()
	if ctx.Err() == nil && !isUnfinished(why) {
		return why
	}
	return errors.Join(why, l.save(ctx))
}

// isUnfinished reports whether another attempt follows an error.
func isUnfinished(err error) bool {
	e, ok := errors.AsType[*engine.JobError](err)
	return err != nil && (!ok || !e.Permanent)
}

// save stores a checkpoint. One caller at a time may do it.
func (l *Log) save(ctx context.Context) error {
	l.mu.Lock()
	answers, size := l.answers, l.size
	l.mu.Unlock()
	if answers == l.saved {
		return nil
	}
	err := l.cfg.Job.WriteCheckpoint(ctx, answers, keepCheckpoints, func(dir string) error {
		return copyStart(filepath.Join(dir, fileName), l.file, size)
	})
	l.savedAt = time.Now() // also of one that was not stored: the next one is not due at once
	if err == nil {
		l.saved = answers
	}
	return err
}

// Close closes the file. The answers stay on this machine for a later attempt.
func (l *Log) Close() error { return l.file.Close() }

// Remove removes the answers from this machine, once they are stored.
func (l *Log) Remove() error {
	if l.folder == "" {
		return nil
	}
	return os.RemoveAll(l.folder)
}
