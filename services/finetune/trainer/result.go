package trainer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/trainer/verify"
)

const (
	// logName is the name of the artifact with the log, and of its file.
	logName = "trainer.log"
	// failedLogName is that of the artifact of an attempt that failed.
	failedLogName = "trainer-%d.log"
	// logTime is how long a store may take for it.
	logTime = 30 * time.Second
	// maxArtifacts bounds the further artifacts of a trainer.
	maxArtifacts = 16
)

// conclude stores the result of a trainer that has ended, or returns why there is none.
func (s *session) conclude(ctx context.Context, base inputs.Base, res *engine.Result) error {
	if extra := s.notes - maxNotes; extra > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("the trainer sent %d more notes", extra))
	}
	res.Notes = append(res.Notes, s.steps.Notes(s.total)...)
	if s.keeper != nil {
		res.Notes = append(res.Notes, s.keeper.notes()...)
	}
	if err := s.err(); err != nil {
		keepLog(ctx, s, res)
		return err
	}
	if err := s.before.Changed(s.base, scratch(s.file)); err != nil {
		keepLog(ctx, s, res)
		return engine.Permanent("base_changed", s.withTail(err))
	}
	exit := s.trainer.Exit()
	switch {
	case exit.Overdue:
		res.Notes = append(res.Notes, "the trainer did not end after its result, and was killed; the result counts")
	case exit.Signal != "":
		res.Notes = append(res.Notes, fmt.Sprintf("the trainer was ended by the signal %q after its result; the result counts", exit.Signal))
	case exit.Status != 0:
		res.Notes = append(res.Notes, fmt.Sprintf("the trainer ended with exit status %d after its result; the result counts", exit.Status))
	}
	s.job.Stage(engine.StageSave)
	if err := checkResult(ctx, s, base); err != nil {
		keepLog(ctx, s, res)
		return err
	}
	model, err := s.job.PutDir(ctx, events.ArtifactModel, s.file.Output.Model)
	if err != nil {
		return err
	}
	res.Artifacts = append(res.Artifacts, model)
	if err := s.storeArtifacts(ctx, res); err != nil {
		return err
	}
	if s.result.EndedEarly && s.lastStep < s.total {
		res.Notes = append(res.Notes, fmt.Sprintf("the trainer ended early, behind step %d of %d", s.lastStep, s.total))
	}
	asked := s.job.Request.Specification.FineTuner
	res.Used = base.Used(asked, asked, s.file.Output.Model)
	res.TokensIn, res.Datasets = s.result.Tokens, verify.Counted(res.Datasets, s.prepared)
	res.Statistics = map[string]float64{
		events.StatisticSteps: float64(s.lastStep),
		"training_rows":       float64(res.Datasets[0].Rows),
	}
	if s.result.EndedEarly && s.lastStep < s.total {
		res.Statistics[events.StatisticPlannedSteps] = float64(s.total)
	}
	if epochs, ok := verify.Epochs(s.job.Request.Specification.FineTuner, s.epoch, s.lastStep, s.total); ok {
		res.Statistics["total_epochs"] = epochs
	}
	for name, value := range s.result.Statistics {
		if value != nil && !math.IsInf(*value, 0) && len(name) <= events.MaxNameBytes {
			res.Statistics[name] = *value
		}
	}
	return nil
}

// checkResult checks the result of a trainer, and finishes its folder.
func checkResult(ctx context.Context, s *session, base inputs.Base) error {
	err := checkSteps(s)
	if err == nil {
		err = verify.Finish(s.result.Folder, s.file.Output.Model, base)
	}
	if err == nil {
		err = verify.Model(ctx, s.file.Output.Model, base, func() { s.job.Advance(1) })
	}
	if err == nil {
		err = checkSecrets(ctx, s, s.file.Output.Model)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	who := "the trainer"
	if s.description != nil {
		who = fmt.Sprintf("the trainer %q", s.description.Name)
	}
	return engine.Permanent("bad_result", s.withTail(fmt.Errorf("the result of %s: %w", who, err)))
}

// checkSteps returns the error of a result that came before the last step.
func checkSteps(s *session) error {
	switch {
	case s.result.EndedEarly:
	case s.lastStep == 0:
		return errors.New("it came before any step; a trainer reports its steps with progress, or says ended_early in its result")
	case s.lastStep < s.total:
		return fmt.Errorf("it came at step %d of %d; a trainer that means to end early says ended_early in its result", s.lastStep, s.total)
	}
	return nil
}

// artifactName is what an artifact of a trainer may be called.
var artifactName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// storeArtifacts stores the log and the further artifacts.
func (s *session) storeArtifacts(ctx context.Context, res *engine.Result) error {
	path, err := writeLog(s.job, &s.log, logName)
	if err != nil {
		return err
	}
	log, err := s.job.PutFile(ctx, logName, "text/plain", path)
	if err != nil {
		return err
	}
	res.Artifacts = append(res.Artifacts, log)
	taken := []string{events.ArtifactModel, events.ArtifactMetrics, logName, "metrics.jsonl"}
	for i, name := range slices.Sorted(maps.Keys(s.result.Artifacts)) {
		at := s.result.Artifacts[name]
		inside, err := filepath.Rel(s.file.Output.Artifacts, at)
		var info os.FileInfo
		if err == nil {
			info, err = os.Lstat(at)
		}
		switch {
		case i >= maxArtifacts:
			err = fmt.Errorf("a trainer may have %d artifacts", maxArtifacts)
		case !artifactName.MatchString(name) || slices.Contains(taken, name):
			err = errors.New("an artifact of a trainer cannot have this name")
		case err != nil, !filepath.IsLocal(inside), inside == ".":
			err = errors.New("it does not lie in output.artifacts")
		default:
			if err = verify.OnlyFiles(at); err == nil {
				err = checkSecrets(ctx, s, at)
			}
		}
		if told, ok := errors.AsType[tellsSecretError](err); ok {
			engine.Warn(ctx, s.job, fmt.Sprintf("the artifact %q of the trainer is not stored: %v", name, told))
			continue
		}
		if err != nil {
			res.Notes = append(res.Notes, fmt.Sprintf("the artifact %q of the trainer is not stored: %v", events.Cut(name, events.MaxNameBytes), err))
			continue
		}
		var a events.Artifact
		if info.IsDir() {
			a, err = s.job.PutDir(ctx, name, at)
		} else {
			a, err = s.job.PutFile(ctx, name, "application/octet-stream", at)
		}
		if err != nil {
			return err
		}
		res.Artifacts = append(res.Artifacts, a)
	}
	return nil
}

// keepLog stores the log of an attempt that failed. Its failure is worth more than its
// log, so a store that does not take it is not waited for.
func keepLog(ctx context.Context, s *session, res *engine.Result) {
	if ctx.Err() != nil { // it did not fail, or nobody waits for it
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	name := fmt.Sprintf(failedLogName, s.job.Attempt)
	path, err := writeLog(s.job, &s.log, name)
	var log events.Artifact
	if err == nil {
		log, err = s.job.PutFile(ctx, name, "text/plain", path)
	}
	if err != nil {
		s.say(fmt.Sprintf("the log of the trainer is not kept: %v", err))
		return
	}
	res.Logs = append(res.Logs, log)
}

// writeLog writes what is kept of the log to a file of that name, by which the tracker
// knows it.
func writeLog(job *engine.Job, log *child.Log, name string) (path string, err error) {
	if path, err = job.Scratch(name); err != nil {
		return "", err
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	_, err = log.WriteTo(f)
	return path, errors.Join(err, f.Close())
}
