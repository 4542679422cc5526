package worker

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// class is what the end of an engine's work means for its job.
type class string

const (
	classSucceeded class = "succeeded"
	// classRetry is an error that may pass: it costs a try.
	classRetry class = "retry"
	// classPermanent is an error that every attempt would meet, or a timeout.
	classPermanent class = "permanent"
	classCancelled class = "cancelled"
	classShutdown  class = "shutdown"
	// classLost means that another attempt owns the job, or has ended it.
	classLost class = "lost"
)

// classification is a class, with the error where there is one to report.
type classification struct {
	class class
	err   error
}

// classify decides, and it alone, what the end of an engine's work means. err is
// what the engine returned, cause the cause with which its context ended, or
// nil.
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
func classify(err, cause error) classification {
	timeout, timedOut := errors.AsType[*engine.JobError](cause)
	switch {
	case err == nil:
		return classification{class: classSucceeded}
	case errors.Is(cause, errLost):
		return classification{class: classLost}
	case errors.Is(cause, errCancelled):
		return classification{class: classCancelled}
	case timedOut:
		return classification{classPermanent, timeout}
	case errors.Is(cause, engine.ErrShutdown), errors.Is(cause, errGraceOver):
		return classification{class: classShutdown}
	case checkpointing.IsSuperseded(err):
		return classification{class: classLost}
	}
	class, code := classifyError(err)
	if code != "" {
		err = &engine.JobError{Code: code, Permanent: class == classPermanent, Err: err}
	}
	return classification{class, err}
}

// classifyError sorts an error by its cause, and returns a code for a cause that
// it knows.
func classifyError(err error) (class, string) {
	_, unavailable := errors.AsType[*artifact.UnavailableError](err)
	_, corrupt := errors.AsType[*artifact.CorruptError](err)
	_, network := errors.AsType[*net.OpError](err) // not net.Error, which every errno is
	_, address := errors.AsType[*url.Error](err)
	marked, isMarked := errors.AsType[*engine.JobError](err)
	switch {
	case isAny(err, syscall.ENOSPC, syscall.EDQUOT):
		return classRetry, "disk_full"
	case isAny(err, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE):
		return classRetry, "machine"
	case isAny(err, huggingface.ErrUnreachable, huggingface.ErrBroken), unavailable, network, address:
		return classRetry, "unreachable"
	case corrupt:
		return classRetry, "corrupt_artifact"
	case errors.Is(err, artifact.ErrNotFound):
		return classPermanent, "missing_artifact"
	case isMarked && marked.Permanent:
		return classPermanent, marked.Code
	}
	return classRetry, ""
}

func isAny(err error, causes ...error) bool {
	return slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) })
}
