package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/jobkeys"
)

const (
	// stopTime is how long a trainer has to stop.
	stopTime = 30 * time.Second
	// heldBack is how long an answer is held back.
	heldBack = 3 * time.Second
	// examples is the number of the rows of a job.
	examples = 64
)

// suite is a check of a command.
type suite struct {
	cfg   Config
	jobs  int
	first attempt // the run that the others are compared with
}

// attempt is what came of a job.
type attempt struct {
	trainer *child.Trainer
	later   chan child.Checkpoint // answers that are due
	held    map[int64]bool
	// answered says that the trainer was told of a checkpoint that is kept.
	answered bool

	hellos int
	steps  []int64
	total  int64
	saved  []child.Resume
	result *child.Result
	digest string
	exit   child.Exit
	log    *child.Log
	took   time.Duration
}

// answerLater answers a checkpoint after a while.
func (a *attempt) answerLater(c child.Checkpoint, after time.Duration) {
	a.held[c.Step] = true
	time.AfterFunc(after, func() {
		select {
		case a.later <- c:
		default: // the trainer repeated it
		}
	})
}

// keep tells the trainer that a checkpoint is kept.
func (a *attempt) keep(step int64) {
	a.answered = true
	a.trainer.Send(child.CheckpointKept{Step: step})
}

// attempt has the command work on a job. each sees each message.
func (s *suite) attempt(ctx context.Context, from *child.Resume, each func(a *attempt, m child.Message)) (attempt, error) {
	a := attempt{later: make(chan child.Checkpoint, 1), held: map[int64]bool{}}
	s.jobs++
	folder := filepath.Join(s.cfg.Scratch, strconv.Itoa(s.jobs))
	job, err := s.job(folder, from)
	if err != nil {
		return a, err
	}
	output := s.cfg.Output
	if output == nil {
		output = func(string) {}
	}
	log := &child.Log{}
	a.log = log
	began := time.Now()
	a.trainer, err = child.Start(child.Config{
		Command: s.cfg.Command, Job: job, Folder: folder, Environ: s.cfg.Environ, More: s.cfg.More,
		Output: func(_, line string) {
			log.Add(line)
			output(line)
		},
		Log: output,
	})
	if err != nil {
		return a, err
	}
	why := s.follow(ctx, &a, job, each)
	a.exit, a.took = a.trainer.Exit(), time.Since(began)
	if why != nil {
		return a, withTail(why, log)
	}
	if a.result == nil {
		return a, nil
	}
	a.digest, err = digest(job.Output.Model)
	if err == nil && a.result.Folder != job.Output.Model {
		err = fmt.Errorf("its result is in %s, want output.model", a.result.Folder)
	}
	return a, err
}

// follow handles the messages to the end of the trainer.
func (s *suite) follow(ctx context.Context, a *attempt, job child.Job, each func(a *attempt, m child.Message)) (why error) {
	quiet := time.NewTimer(s.cfg.Patience)
	defer quiet.Stop()
	fail := func(err error) {
		if why == nil {
			why = err
		}
		a.trainer.Kill()
	}
	done := ctx.Done()
	for {
		select {
		case m, more := <-a.trainer.Messages():
			if !more {
				return why
			}
			quiet.Reset(s.cfg.Patience)
			if each != nil {
				each(a, m)
			}
			if err := s.take(a, job, m); err != nil {
				fail(err)
			}
		case c := <-a.later:
			a.keep(c.Step)
		case <-quiet.C:
			fail(fmt.Errorf("it said nothing for %s", s.cfg.Patience))
		case <-done:
			done = nil
			fail(context.Cause(ctx))
		}
	}
}

// take takes a message as a worker does.
func (s *suite) take(a *attempt, job child.Job, m child.Message) error {
	switch m := m.(type) {
	case child.Hello:
		a.hellos++
	case child.Progress:
		if n := len(a.steps); n > 0 && m.Step <= a.steps[n-1] && a.hellos < 2 {
			return fmt.Errorf("behind step %d it said step %d", a.steps[n-1], m.Step)
		}
		a.steps, a.total = append(a.steps, m.Step), m.Total
	case child.Checkpoint:
		inside, err := filepath.Rel(job.Output.Checkpoints, m.Folder)
		if err != nil || !filepath.IsLocal(inside) || inside == "." {
			return fmt.Errorf("the checkpoint of step %d is in %s, want a folder in output.checkpoints", m.Step, m.Folder)
		}
		kept := filepath.Join(s.cfg.Scratch, "kept", fmt.Sprintf("%d-%d", s.jobs, m.Step))
		if isFolder(kept) { // the trainer repeated it
			a.keep(m.Step)
			return nil
		}
		if err := os.CopyFS(kept, os.DirFS(m.Folder)); err != nil {
			if !isFolder(m.Folder) {
				err = fmt.Errorf("its folder %s is gone before checkpoint_kept was said", filepath.Base(m.Folder))
			}
			return fmt.Errorf("the checkpoint of step %d: %w", m.Step, err)
		}
		a.saved = append(a.saved, child.Resume{Step: m.Step, Folder: kept})
		if !a.held[m.Step] {
			a.keep(m.Step)
		}
	case child.Result:
		a.result = &m
	case child.Error:
		return fmt.Errorf("it ended by the error %s: %s", m.Class, m.Text)
	case child.Fault:
		return m.Err
	}
	return nil
}

// job writes the files of a job.
func (s *suite) job(folder string, from *child.Resume) (child.Job, error) {
	job := jobkeys.Training(s.cfg.Keys)
	job.Run, job.Attempt = "check", 1
	job.Output = child.Output{
		Model: filepath.Join(folder, "model"), Checkpoints: filepath.Join(folder, "checkpoints"), Artifacts: filepath.Join(folder, "artifacts"),
	}
	if err := errors.Join(os.MkdirAll(job.Output.Checkpoints, 0o700), os.MkdirAll(job.Output.Artifacts, 0o700)); err != nil {
		return job, err
	}
	var err error
	if job.Training, err = writeRows(folder); err != nil {
		return job, err
	}
	model := s.cfg.Model
	if model == "" {
		model = filepath.Join(folder, "base")
		if err := smallModel(model); err != nil {
			return job, err
		}
	}
	job.Model = child.Model{Folder: model, Tokenizer: model, Name: "check/base"}
	if from != nil { // a copy, which the trainer may change
		job.Resume = &child.Resume{Step: from.Step, Folder: filepath.Join(folder, "resume")}
		job.Attempt++
		err = os.CopyFS(job.Resume.Folder, os.DirFS(from.Folder))
	}
	return job, err
}

// writeRows writes rows that any tokenizer has ids for.
func writeRows(folder string) (child.Rows, error) {
	rows := child.Rows{
		Tokens: filepath.Join(folder, "training.tokens.jsonl"), Messages: filepath.Join(folder, "training.messages.jsonl"),
		Examples: examples, Rows: examples,
	}
	var tokens, messages []byte
	for i := range examples {
		e := child.Example{}
		for j := range 8 + i%5 {
			e.IDs = append(e.IDs, int32(1+(i*7+j*3)%90))
		}
		e.Counted = [][2]int{{4, len(e.IDs)}}
		rows.Longest = max(rows.Longest, len(e.IDs))
		line, err := json.Marshal(e)
		if err != nil {
			return rows, err
		}
		tokens = append(append(tokens, line...), '\n')
		messages = fmt.Appendf(messages, `{"messages":[{"role":"user","content":"What is %d + %d?"},{"role":"assistant","content":"%d"}],"ground_truth":"%d"}`+"\n", i, i, 2*i, 2*i)
	}
	return rows, errors.Join(os.WriteFile(rows.Tokens, tokens, 0o600), os.WriteFile(rows.Messages, messages, 0o600))
}

// completed returns why a run did not complete.
func (a *attempt) completed() error {
	switch {
	case a.result == nil:
		return a.orNoResult()
	case a.exit.Overdue:
		return errors.New("it did not end within 30 s of its result")
	case a.exit.Status != 0:
		return fmt.Errorf("behind its result it ended with %s, want exit status 0", exitText(a.exit))
	case len(a.steps) == 0:
		return errors.New("it said no progress")
	case a.total > 0 && a.last() != a.total: // 0: it does not know
		return fmt.Errorf("its last step was %d of %d", a.last(), a.total)
	case a.digest == "":
		return errors.New("its result folder is empty")
	}
	return nil
}

// last is the last step that was said.
func (a *attempt) last() int64 { return a.steps[len(a.steps)-1] }

// orNoResult is the error of a trainer that ended without a result.
func (a *attempt) orNoResult() error {
	return withTail(fmt.Errorf("it ended with %s and without a result", exitText(a.exit)), a.log)
}

// same returns why a run did not complete with the result of the first one.
func (s *suite) same(a attempt) error {
	if err := a.completed(); err != nil {
		return err
	}
	if a.digest != s.first.digest && !s.cfg.NotExact {
		return errors.New("its result is another one than that of the first run; --not-exact leaves that out")
	}
	return nil
}

// stop stops the trainer in the middle, and resumes it.
func (s *suite) stop(ctx context.Context, name string, order func(*child.Trainer)) (string, error) {
	at := s.first.last() / 2
	var asked time.Time
	a, err := s.attempt(ctx, nil, func(a *attempt, m child.Message) {
		if p, ok := m.(child.Progress); ok && p.Step >= at && asked.IsZero() {
			asked = time.Now()
			order(a.trainer)
			time.AfterFunc(stopTime, a.trainer.Kill)
		}
	})
	switch {
	case err != nil:
		return "", err
	case a.result != nil:
		return "", tooFast(at)
	case a.exit.Status != 75:
		return "", fmt.Errorf("after %s at step %d it ended with %s, want exit status 75 within %s", name, at, exitText(a.exit), stopTime)
	case len(a.saved) == 0:
		return "", fmt.Errorf("after %s at step %d it saved no checkpoint", name, at)
	}
	took := time.Since(asked)
	last := a.saved[len(a.saved)-1]
	b, err := s.attempt(ctx, &last, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("it stopped in %s behind step %d, and from there it comes to the same result", took.Round(time.Millisecond), last.Step), s.same(b)
}

// endsWithoutMemory: with too little memory a trainer ends, and never with another
// result.
func endsWithoutMemory(ctx context.Context, s *suite) (string, error) {
	var came []string
	whole := s.cfg.Command
	defer func() { s.cfg.Command = whole }()
	for _, mebibytes := range []int{16, 64, 256} {
		s.cfg.Command = slices.Concat([]string{"/bin/sh", "-c", `ulimit -v "$0" && exec "$@"`, strconv.Itoa(mebibytes << 10)}, whole)
		a, err := s.attempt(ctx, nil, nil)
		switch {
		case err != nil && ctx.Err() != nil:
			return "", err
		case err == nil && a.result != nil:
			if err := s.same(a); err != nil {
				return "", fmt.Errorf("with %d MiB: %w", mebibytes, err)
			}
			came = append(came, fmt.Sprintf("%d MiB are enough", mebibytes))
		default:
			came = append(came, fmt.Sprintf("with %d MiB it ends", mebibytes))
		}
	}
	return strings.Join(came, ", "), nil
}

// untriedError says why a check could not be made.
type untriedError struct{ text string }

func (e *untriedError) Error() string { return e.text }

func tooFast(at int64) error {
	return &untriedError{fmt.Sprintf(
		"it could not be tried: the trainer was done before step %d was handled; let its steps take longer, or set fine_tuner.epochs higher", at)}
}

func exitText(e child.Exit) string {
	if e.Signal != "" {
		return "the signal " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Status)
}

// withTail adds the last lines of a log to an error.
func withTail(err error, log *child.Log) error {
	if tail := log.Tail(1000); tail != "" {
		return fmt.Errorf("%w; its last lines:\n%s", err, tail)
	}
	return err
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// digest is the digest of the files of a folder; empty without any.
func digest(folder string) (string, error) {
	h, files := sha256.New(), 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s of its result is no regular file", d.Name())
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		files++
		content := sha256.New()
		if _, err := io.Copy(content, f); err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%q %x\n", filepath.ToSlash(name), content.Sum(nil))
		return err
	})
	if err != nil || files == 0 {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
