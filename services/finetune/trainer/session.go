package trainer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/trainer/honoured"
	"github.com/tunebus/tunebus/services/finetune/trainer/verify"
)

// maxNotes bounds the notes of a trainer. An event has room for some more.
const maxNotes = 30

// session is one life of a trainer.
type session struct {
	name    string // of the engine
	job     *engine.Job
	file    child.Job
	res     *engine.Result
	base    inputs.Base
	before  verify.BaseFiles // the files of the base model before the trainer started
	wrote   string           // the trainer that wrote the checkpoint to resume from
	trainer *child.Trainer
	keeper  *keeper // nil before the hello
	log     child.Log

	description *child.Description
	notes       int
	unknown     map[string]bool
	prepared    map[string]child.Dataset // what became of the rows, by data set
	done        int64                    // in the stage
	lastStep    int64
	total       int64 // of the steps, as the trainer said it last; 0: it did not
	steps       verify.Steps
	epoch       float64 // the newest point of this name

	result  *child.Result
	failure *child.Error
	// fault is why the trainer was killed.
	fault error
	// foreign is why the checkpoint cannot be used.
	foreign error
	// ended is why the job ended before the trainer.
	ended error
}

func newSession(name string, job *engine.Job, file child.Job, res *engine.Result) *session {
	s := &session{name: name, job: job, file: file, res: res, unknown: map[string]bool{}, prepared: map[string]child.Dataset{}}
	if file.Resume != nil {
		s.lastStep, s.wrote = file.Resume.Step, trainerOf(file.Resume.Folder)
	}
	return s
}

// output writes a line of the trainer into the log.
func (s *session) output(stream, line string) {
	s.log.Add(engine.WriteLog(s.job, stream, line))
}

// say writes a line of the worker itself.
func (s *session) say(text string) { engine.WriteLog(s.job, "info", text) }

// follow handles the messages until all processes of the trainer have ended.
func (s *session) follow(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	ended, over := ctx.Done(), make(chan struct{})
	defer close(over)
	for {
		select {
		case m, more := <-s.trainer.Messages():
			if !more {
				if s.keeper != nil {
					s.keeper.close()
				}
				return
			}
			s.handle(ctx, m)
		case <-ended:
			ended = nil
			s.ended = context.Cause(ctx)
			if !errors.Is(s.ended, engine.ErrShutdown) {
				s.trainer.Kill()
				continue
			}
			limit := engine.SaveTime(s.job)
			s.trainer.Send(child.StopWithin(limit))
			s.trainer.Terminate()
			saving, done, _ := s.job.Saving(ctx)
			all.Go(func() {
				defer done()
				select {
				case <-saving.Done():
				case <-over:
				}
				s.trainer.Kill()
			})
		}
	}
}

// fail kills the trainer for a fault.
func (s *session) fail(err error) {
	if s.fault == nil && err != nil {
		s.fault = err
		s.trainer.Kill()
	}
}

func (s *session) handle(ctx context.Context, m child.Message) {
	if s.fault != nil { // what it sent before it was killed, such as the first steps of a refused job
		return
	}
	switch m := m.(type) {
	case child.Hello:
		s.hello(ctx, m)
	case child.Stage:
		s.stage(m)
	case child.Progress:
		progressed(ctx, s, m)
	case child.Dataset:
		s.dataset(ctx, m)
	case child.Checkpoint:
		s.keeper.offer(m)
	case child.Note:
		s.note(ctx, m)
	case child.Result:
		s.job.Stage(engine.StageSave)
		s.result = &m
	case child.Error:
		s.failure = &m
		if m.Class == child.BadCheckpoint && s.file.Resume != nil && s.lastStep == s.file.Resume.Step {
			s.foreign = fmt.Errorf("the trainer cannot use it: %s", m.Text)
		}
	case child.Unknown:
		if !s.unknown[m.Type] && len(s.unknown) < maxNotes {
			s.unknown[m.Type] = true
			s.say(fmt.Sprintf("the trainer sent a message of the type %q, which this worker does not know", m.Type))
		}
	case child.Fault:
		s.fault = &engine.JobError{Code: "protocol", Err: s.withTail(m.Err)}
	}
}

// hello takes the description of the trainer.
func (s *session) hello(ctx context.Context, h child.Hello) {
	if s.description != nil { // it connected again
		s.say("the trainer connected again")
		return
	}
	d := h.Description
	s.description = &d
	specification := s.job.Request.Specification
	s.say(fmt.Sprintf("trainer %s %s, devices %q, versions %v", d.Name, d.Version, d.Devices, d.Versions))
	s.keeper = newKeeper(s.job, s.file.Output.Checkpoints, marker{Engine: s.name, Trainer: d.Name}, s.trainer.Send, s.say)
	go s.keeper.run(ctx, s.trainer.Kill) // follow waits for it
	if s.file.Resume != nil {
		if s.wrote != d.Name {
			s.foreign = fmt.Errorf("the checkpoint is of the trainer %q, and this is %q", s.wrote, d.Name)
			s.trainer.Kill()
			return
		}
	}
	images := s.file.Training.Images > 0 || s.file.Validation != nil && s.file.Validation.Images > 0
	if err := honoured.Refused(specification, d, images); err != nil {
		s.fail(engine.Permanent(child.BadKey, err))
		return
	}
	for _, note := range honoured.Notes(specification, d) {
		if !slices.Contains(s.res.Notes, note) {
			s.res.Notes = append(s.res.Notes, note)
		}
	}
}

// stage counts what is done in a stage.
func (s *session) stage(m child.Stage) {
	stage := map[string]engine.Stage{
		child.StageLoad:     engine.StageLoad,
		child.StageTokenise: engine.StageTokenise,
		child.StageTrain:    engine.StageTrain,
		child.StageEvaluate: engine.StageTrain,
		child.StageSave:     engine.StageSave,
	}[m.Stage]
	s.job.Stage(stage)
	if m.Done > s.done {
		s.job.Advance(1)
	}
	s.done = m.Done
}

// progressed takes a step and its points. A message may be repeated, so a point whose name
// has one of that step or of a later one does not count.
func progressed(ctx context.Context, s *session, m child.Progress) {
	fresh := s.steps.Fresh(m.Step, points(m.Points))
	if e := m.Points["epoch"]; e != nil {
		s.epoch = max(s.epoch, *e)
	}
	if m.Total > 0 {
		s.total = m.Total
	}
	s.lastStep = max(s.lastStep, m.Step)
	if s.total > 0 && m.Step > s.total {
		s.steps.Beyond = max(s.steps.Beyond, m.Step)
	}
	at := m.Step
	if len(fresh) == 0 {
		at = s.lastStep
	}
	s.fail(s.job.Progress(ctx, at, m.Total, fresh...))
}

// points are the points of a step, by their names.
func points(values map[string]*float64) []events.Point {
	var out []events.Point
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if v := values[key]; v != nil {
			out = append(out, events.Point{Key: key, Value: *v})
		}
	}
	return out
}

// dataset tells of rows that the trainer drops or cuts, and counts them.
func (s *session) dataset(ctx context.Context, m child.Dataset) {
	s.prepared[m.Set] = m
	say := func(rows int64, what string) {
		text := fmt.Sprintf("fine_tuner.%s_data_id: the trainer %s %d of %d rows", m.Set, what, rows, m.Rows)
		if rows > 0 {
			s.note(ctx, child.Note{Text: text, Warning: 10*rows > m.Rows})
		}
	}
	say(m.Dropped, "leaves out")
	say(m.Cut, "cuts")
}

// note takes a note. A warning becomes a note of the phase by itself.
func (s *session) note(ctx context.Context, n child.Note) {
	s.notes++
	switch {
	case n.Text == "":
	case s.notes > maxNotes:
	case n.Warning:
		engine.Warn(ctx, s.job, n.Text)
	default:
		s.res.Notes = append(s.res.Notes, n.Text)
	}
}
