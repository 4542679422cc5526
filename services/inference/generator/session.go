package generator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/jobkeys"
	"github.com/tunebus/tunebus/pipeline/child/lacking"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/answers"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

const (
	// maxNotes bounds the notes of a command.
	maxNotes = 30
	// tailBytes bounds the lines of the log in a failure.
	tailBytes = 1500
	// idBytes bounds an id in a line of answers, with what stands around it.
	idBytes = 16
)

// session is one life of a command.
type session struct {
	work    *work
	pass    pass
	tok     *token.Tokenizer
	prompts *prompts
	path    string // of its answers

	vocabulary int // the number of ids
	command    *child.Trainer

	in     *bufio.Reader
	read   int64 // lines of answers
	notes  int
	told   bool // what the command is
	stage  string
	counts int64 // in the stage
	result bool
	failed *child.Error
	fault  error // why the command was killed
	ended  error // why the job ended before the command
}

// run has the command answer until all of its processes have ended.
func (s *session) run(ctx context.Context, folder string) error {
	file, err := os.Create(s.path)
	if err != nil {
		return err
	}
	defer file.Close()
	s.in = bufio.NewReader(file)
	s.vocabulary = vocabulary(s.tok, s.pass.Weights())
	s.work.job.Stage(engine.StageLoad)
	i := s.work.job.Request.Specification.Inferencer
	job := child.Job{
		Kind: child.KindInference, Run: s.work.job.Request.RunID, Attempt: s.work.job.Attempt, Keys: jobkeys.Of(i), Changed: changedKeys(s.work.job.Request.Specification), Seed: i.Seed, Devices: s.work.devices,
		Model:   child.Model{Folder: s.pass.Weights(), Tokenizer: s.pass.Tokens()},
		Prompts: &s.prompts.file,
		Output:  child.Output{Answers: s.path},
	}
	if adapter := s.pass.Adapter(); adapter != "" {
		job.Model.Adapter = &adapter
	}
	cfg := s.work.engine.cfg
	s.command, err = child.Start(child.Config{
		Command: cfg.Command, Job: job, Folder: folder, Environ: cfg.Environ, More: cfg.Environment, Timing: cfg.Timing,
		Output: func(stream, line string) { s.work.log.Add(engine.WriteLog(s.work.job, stream, line)) },
		Log:    func(text string) { engine.WriteLog(s.work.job, "info", text) },
	})
	if err != nil {
		return &engine.JobError{Code: "no_command", Err: fmt.Errorf("services.inference.command: %w", err)}
	}
	s.follow(ctx)
	if err := s.take(context.WithoutCancel(ctx), -1); err != nil && s.fault == nil {
		s.fault = err
	}
	return s.err()
}

// follow handles the messages until all processes of the command have ended.
func (s *session) follow(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	ended, over := ctx.Done(), make(chan struct{})
	defer close(over)
	for {
		select {
		case m, more := <-s.command.Messages():
			if !more {
				return
			}
			if err := s.handle(ctx, m); err != nil && s.fault == nil {
				s.fault = err
				s.command.Kill()
			}
		case <-ended:
			ended = nil
			s.ended = context.Cause(ctx)
			if !errors.Is(s.ended, engine.ErrShutdown) {
				s.command.Kill()
				continue
			}
			s.command.Send(child.StopWithin(engine.SaveTime(s.work.job)))
			s.command.Terminate()
			saving, done, _ := s.work.job.Saving(ctx)
			all.Go(func() {
				defer done()
				select {
				case <-saving.Done():
				case <-over:
				}
				s.command.Kill()
			})
		}
	}
}

func (s *session) handle(ctx context.Context, m child.Message) error {
	switch m := m.(type) {
	case child.Hello:
		return s.hello(m)
	case child.Stage:
		s.enter(m)
	case child.Progress:
		return s.take(ctx, m.Step)
	case child.Note:
		s.note(ctx, m)
	case child.Result:
		s.result = true
	case child.Error:
		s.failed = &m
	case child.Fault:
		return &engine.JobError{Code: "protocol", Err: s.withTail(m.Err)}
	}
	return nil
}

// hello takes the description of the command.
func (s *session) hello(h child.Hello) error {
	if s.told { // it connected again
		return nil
	}
	s.told = true
	engine.WriteLog(s.work.job, "info", fmt.Sprintf("%s %s, devices %q, versions %v", h.Name, h.Version, h.Devices, h.Versions))
	if !h.Answers() {
		return engine.Permanent("bad_command", fmt.Errorf("services.inference.command: %s %s does not answer: its description names no kind %q; the command for transformers is \"python -m tunebus_trainer.generate\"",
			h.Name, h.Version, child.KindInference))
	}
	i := s.work.job.Request.Specification.Inferencer
	for key, lacks := range map[string]bool{
		"load_in_4bit": i.LoadIn4bit && !slices.Contains(h.Quantisation, "4bit"),
		"load_in_8bit": i.LoadIn8bit && !slices.Contains(h.Quantisation, "8bit"),
	} {
		if lacks {
			return engine.Permanent(child.BadKey, fmt.Errorf("inferencer.%s = true: the command %s does not have it", key, h.Name))
		}
	}
	if s.prompts.file.Images > 0 && !h.Vision {
		return engine.Permanent(child.BadKey, fmt.Errorf("%s: its rows have images, and the command %s reads none", inputs.TestingKey, h.Name))
	}
	for _, note := range keyNotes(s.work.job.Request.Specification, h.Name, h.Keys) {
		if !slices.Contains(s.work.res.Notes, note) {
			s.work.res.Notes = append(s.work.res.Notes, note)
		}
	}
	return nil
}

// enter counts what is done in a stage.
func (s *session) enter(m child.Stage) {
	stage := map[string]engine.Stage{child.StageLoad: engine.StageLoad, child.StageTokenise: engine.StageTokenise, child.StageSave: engine.StageSave}[m.Stage]
	if stage == "" {
		stage = engine.StageGenerate
	}
	s.work.job.Stage(stage)
	if m.Done > s.counts || m.Stage != s.stage {
		s.work.job.Advance(1)
	}
	s.stage, s.counts = m.Stage, m.Done
}

// note takes a note. A warning becomes a note of the phase by itself.
func (s *session) note(ctx context.Context, n child.Note) {
	s.notes++
	switch {
	case n.Text == "" || s.notes > maxNotes || slices.Contains(s.work.res.Notes, n.Text):
	case n.Warning:
		engine.Warn(ctx, s.work.job, n.Text)
	default:
		s.work.res.Notes = append(s.work.res.Notes, n.Text)
	}
}

// take takes the answers of the file up to so many lines; -1: those that are whole.
func (s *session) take(ctx context.Context, upTo int64) error {
	for upTo < 0 || s.read < upTo {
		line, err := s.readLine()
		if errors.Is(err, io.EOF) && upTo < 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the command said with progress that %d lines are written, and this one is not; a line is written whole, with its end, before its progress is sent", upTo)
		}
		if err != nil {
			return &engine.JobError{Code: "protocol", Err: s.withTail(fmt.Errorf("line %d of the answers: %w", s.read+1, err))}
		}
		s.read++
		if err := s.add(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// readLine reads a line that is whole.
func (s *session) readLine() ([]byte, error) {
	most := idBytes*s.work.job.Request.Specification.Inferencer.MaxNewTokens + 4096
	var line []byte
	for {
		part, err := s.in.ReadSlice('\n')
		if line = append(line, part...); len(line) > most {
			return nil, fmt.Errorf("it is longer than inferencer.max_new_tokens = %d allows", s.work.job.Request.Specification.Inferencer.MaxNewTokens)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// add keeps an answer.
func (s *session) add(ctx context.Context, line []byte) error {
	var g child.Generated
	err := json.Unmarshal(line, &g)
	if err != nil {
		err = fmt.Errorf("%.120q is no JSON object with row, ids and finish_reason: %w", line, err)
	}
	var q question
	if err == nil {
		q, err = s.prompts.at(g.Row)
	}
	if err != nil {
		return &engine.JobError{Code: "protocol", Err: s.withTail(fmt.Errorf("line %d of the answers: %w", s.read, err))}
	}
	if _, ok, err := s.work.answers.Find(s.pass.artifact, g.Row, q.Of); err != nil || ok {
		return errors.Join(err, &engine.JobError{Code: "protocol", Err: s.withTail(fmt.Errorf("line %d of the answers: row %d is answered already", s.read, g.Row))})
	}
	if err := checkIDs(g.IDs, s.vocabulary); err != nil {
		return &engine.JobError{Code: "protocol", Err: s.withTail(fmt.Errorf("line %d of the answers, row %d: %w", s.read, g.Row, err))}
	}
	p := q.Prediction
	text := s.tok.DecodeAnswer(g.IDs)
	for _, stop := range s.work.job.Request.Specification.Inferencer.Stop {
		if before, _, found := strings.Cut(text, stop); found {
			text = before
		}
	}
	p.Answer, p.Reasoning = prediction.SplitReasoning(q.Opened + text)
	if s.prompts.file.Images > 0 && g.PromptTokens > 0 { // it is the one that counts them
		s.work.res.TokensIn += int64(g.PromptTokens)
		q.Tokens = g.PromptTokens
	}
	p.Tokens, p.PromptTokens, p.FinishReason = len(g.IDs), q.Tokens, events.Cut(g.FinishReason, events.MaxNameBytes)
	p = markFailed(p)
	s.prompts.ends[p.FinishReason]++
	if err := s.work.answers.Add(ctx, answers.Answer{Pass: s.pass.artifact, Row: g.Row, Of: q.Of, Prediction: p}); err != nil {
		return err
	}
	s.work.done++
	s.work.res.TokensOut += int64(p.Tokens)
	return s.work.job.Progress(ctx, s.work.done, s.work.total)
}

// err is why the command gave no result; nil if it gave one.
func (s *session) err() error {
	switch exit := s.command.Exit(); {
	case s.ended != nil:
		return s.ended
	case s.fault != nil:
		return s.fault
	case s.failed != nil:
		text := s.failed.Text
		if own := section + "." + s.failed.Key; s.failed.Key != "" && !strings.HasPrefix(text, own) {
			text = own + ": " + text
		}
		return &engine.JobError{Code: s.failed.Class, Permanent: s.failed.IsPermanent(), Err: s.withTail(errors.New(text))}
	case s.result:
		return nil
	default:
		if lacks := lacking.Package(s.work.log.Tail(tailBytes)); lacks != "" && !s.told {
			return engine.Permanent("command_failed", s.withTail(errors.New("services.inference.command: "+lacks)))
		}
		if exit.Status == child.StatusUnusable && exit.Signal == "" && !exit.Unsupervised {
			return engine.Permanent("command_failed", s.withTail(errors.New("services.inference.command: the command cannot work on this worker")))
		}
		return &engine.JobError{Code: "command_failed", Err: s.withTail(fmt.Errorf("%s %s", filepath.Base(s.work.engine.cfg.Command[0]), strings.TrimPrefix(exit.Reason("the command"), "the command ")))}
	}
}

// withTail adds the last lines of the log to an error.
func (s *session) withTail(err error) error {
	if tail := s.work.log.Tail(tailBytes); tail != "" {
		return fmt.Errorf("%w; its last lines:\n%s", err, tail)
	}
	return err
}
