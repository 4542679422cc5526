package trainer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/lacking"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// tailBytes bounds the lines of the log in a failure.
const tailBytes = 1500

// err is why the trainer made no result; nil if it made one.
func (s *session) err() error {
	switch {
	case s.keeper != nil && s.keeper.lost != nil:
		return s.keeper.lost
	case s.ended != nil:
		return s.ended
	case s.fault != nil:
		return s.fault
	case s.failure != nil:
		return s.failed(*s.failure)
	case s.result != nil:
		return nil
	}
	return s.endedEarly(s.trainer.Exit())
}

// failed is the error that the trainer said.
func (s *session) failed(e child.Error) error {
	text := errors.New(e.Text)
	if e.Text == "" {
		text = fmt.Errorf("the trainer said the error %s without a text", e.Class)
	}
	if own := "fine_tuner." + e.Key; e.Key != "" && !strings.HasPrefix(e.Text, own) {
		text = fmt.Errorf("%s: %w", own, text)
	}
	return &engine.JobError{Code: e.Class, Permanent: e.IsPermanent(), Err: s.withTail(text)}
}

// endedEarly is the error of a trainer that ended without a word.
func (s *session) endedEarly(exit child.Exit) error {
	code, text, permanent := "trainer_failed", exit.Reason("the trainer"), false
	if exit.Signal == "" && !exit.Unsupervised && exit.Status == child.StatusStopped {
		code, text = "trainer_stopped", fmt.Sprintf("the trainer stopped by itself behind step %d", s.lastStep)
	}
	if exit.Signal == "" && !exit.Unsupervised && exit.Status == child.StatusUnusable {
		text, permanent = "the trainer cannot work on this worker", true
	}
	if lacks := lacking.Package(s.log.Tail(tailBytes)); lacks != "" && s.description == nil {
		text, permanent = "the trainer cannot work on this worker: "+lacks, true
	}
	return &engine.JobError{Code: code, Permanent: permanent, Err: s.withTail(errors.New(text))}
}

// withTail adds the last lines of the log to an error.
func (s *session) withTail(err error) error {
	if tail := s.log.Tail(tailBytes); tail != "" {
		return fmt.Errorf("%w; its last lines:\n%s", err, tail)
	}
	return err
}
