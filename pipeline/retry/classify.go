package retry

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/scratch"
)

// The causes with which the context of an engine's work ends, besides a timeout,
// which is an [engine.JobError], and [engine.ErrShutdown].
var (
	ErrLost      = errors.New("another attempt owns the job, or the phase is completed")
	ErrCancelled = errors.New("the run was cancelled")
	ErrGraceOver = errors.New("the grace at shutdown is over")
)

// Class is what the end of an engine's work means for its job.
type Class string

// The classes.
const (
	ClassSucceeded Class = "succeeded"
	// ClassRetry is an error that may pass: it costs a try.
	ClassRetry Class = "retry"
	// ClassPermanent is an error that every attempt would meet, or a timeout.
	ClassPermanent Class = "permanent"
	ClassCancelled Class = "cancelled"
	ClassShutdown  Class = "shutdown"
	// ClassLost means that another attempt owns the job, or has ended it.
	ClassLost Class = "lost"
)

// Classification is a class, with the error where there is one to report.
type Classification struct {
	Class Class
	Err   error
}

// Classify decides, and it alone, what the end of an engine's work means. err is
// the engine's error, cause the cause with which its context ended, or nil.
//
//	no error, whatever the cause              succeeded
//	cause: another attempt owns the job       lost
//	cause: a cancel was requested             cancelled
//	cause: the phase's timeout has passed     permanent
//	cause: the process stops                  shutdown
//	saving found a newer attempt's checkpoint lost
//	a resource is full or unreachable         retry, even if an engine calls it permanent
//	an artifact is damaged                    retry: a broken transfer looks the same
//	an artifact is gone                       permanent: keys are never used twice
//	marked by [engine.Permanent]              permanent
//	anything else, including panics           retry
//
// Misclassifying a transient error as permanent loses the run; retrying a
// permanent one wastes seconds. So only certain cases are permanent.
func Classify(err, cause error) Classification {
	timeout, timedOut := errors.AsType[*engine.JobError](cause)
	switch {
	case err == nil:
		return Classification{Class: ClassSucceeded}
	case errors.Is(cause, ErrLost):
		return Classification{Class: ClassLost}
	case errors.Is(cause, ErrCancelled):
		return Classification{Class: ClassCancelled}
	case timedOut:
		return Classification{ClassPermanent, timeout}
	case errors.Is(cause, engine.ErrShutdown), errors.Is(cause, ErrGraceOver):
		return Classification{Class: ClassShutdown}
	case checkpointing.IsSuperseded(err):
		return Classification{Class: ClassLost}
	}
	class, code := classifyError(err)
	if code == diskFull {
		err = fullDisk(err)
	}
	if code != "" {
		err = &engine.JobError{Code: code, Permanent: class == ClassPermanent, Err: err}
	}
	return Classification{class, err}
}

// classifyError sorts an error by its cause, and returns a code for a cause that
// it knows.
func classifyError(err error) (Class, string) {
	_, unavailable := errors.AsType[*artifact.UnavailableError](err)
	_, corrupt := errors.AsType[*artifact.CorruptError](err)
	_, network := errors.AsType[*net.OpError](err) // not net.Error, which every errno is
	_, address := errors.AsType[*url.Error](err)
	marked, isMarked := errors.AsType[*engine.JobError](err)
	switch {
	case isAny(err, syscall.ENOSPC, syscall.EDQUOT):
		return ClassRetry, diskFull
	case isAny(err, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE):
		return ClassRetry, "machine"
	case isAny(err, huggingface.ErrUnreachable, huggingface.ErrBroken), unavailable, network, address:
		return ClassRetry, "unreachable"
	case errors.Is(err, huggingface.ErrNonsense):
		return ClassRetry, "hub_bad_answer"
	case corrupt:
		return ClassRetry, "corrupt_artifact"
	case errors.Is(err, artifact.ErrNotFound):
		return ClassPermanent, "missing_artifact"
	case isMarked && marked.Permanent:
		return ClassPermanent, marked.Code
	}
	return ClassRetry, ""
}

// diskFull is the code of an error for want of space.
const diskFull = "disk_full"

// fullDisk names the folder whose disk is full, instead of a temporary file in it
// that nobody else knows.
func fullDisk(err error) error {
	at, ok := errors.AsType[*fs.PathError](err)
	if !ok || !scratch.IsWithin(at.Path) {
		return err
	}
	dir := filepath.Dir(at.Path)
	for scratch.IsWithin(dir) {
		dir = filepath.Dir(dir)
	}
	return fmt.Errorf("the disk with %s is full: %w; free space on it", dir, at.Err)
}

func isAny(err error, causes ...error) bool {
	return slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) })
}
