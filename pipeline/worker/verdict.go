package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// class is what the end of an engine's work means for its job.
type class string

const (
	succeeded class = "succeeded"
	// again is an error that may pass: it costs a try.
	again class = "again"
	// permanent is an error that would come again however often the job was
	// tried, or a time that is over.
	permanent class = "permanent"
	cancelled class = "cancelled"
	shutdown  class = "shutdown"
	// lost says that somebody else holds the job, or has ended it.
	lost class = "lost"
)

// verdict is a class, with the error where there is one to report.
type verdict struct {
	class class
	err   error
}

// classify is where the end of an engine's work is judged, and nowhere else.
// err is what the engine answered, why the cause with which its context ended,
// or nil.
//
//	no error, whatever came in between     succeeded
//	why: another attempt holds the job     lost
//	why: somebody asked to cancel          cancelled
//	why: the time of the phase is over     permanent
//	why: the process stops                 shutdown
//	a newer attempt's checkpoint was met   lost
//	what it needs is full or away          again, even if an engine calls it permanent
//	an artifact is not what it should be   again: a broken transfer looks the same
//	an artifact is gone                    permanent: keys are never used twice
//	marked by [Permanent]                  permanent
//	anything else, panics among it         again
//
// To call an error permanent that is none costs a run, to try one again that
// is costs some seconds; so only what is certain is permanent.
func classify(err, why error) verdict {
	var over *Fault
	var lostJob *checkpoint.SupersededError
	switch {
	case err == nil:
		return verdict{class: succeeded}
	case errors.Is(why, errLost):
		return verdict{class: lost}
	case errors.Is(why, errCancelled):
		return verdict{class: cancelled}
	case errors.As(why, &over):
		return verdict{permanent, over}
	case why != nil:
		return verdict{class: shutdown}
	case errors.As(err, &lostJob):
		return verdict{class: lost}
	}
	class, code := judge(err)
	if code != "" {
		err = &Fault{Code: code, Permanent: class == permanent, Err: err}
	}
	return verdict{class, err}
}

// judge sorts an error by what caused it, and names the cause if it knows it.
func judge(err error) (class, string) {
	var unavailable *artifact.UnavailableError
	var corrupt *artifact.CorruptError
	var network *net.OpError // not net.Error, which every errno of the system is
	var address *url.Error
	var marked *Fault
	switch {
	case anyOf(err, syscall.ENOSPC, syscall.EDQUOT):
		return again, "disk_full"
	case anyOf(err, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE):
		return again, "machine"
	case anyOf(err, huggingface.ErrUnreachable, huggingface.ErrBroken), errors.As(err, &unavailable), errors.As(err, &network), errors.As(err, &address):
		return again, "unreachable"
	case errors.As(err, &corrupt):
		return again, "corrupt_artifact"
	case errors.Is(err, artifact.ErrNotFound):
		return permanent, "missing_artifact"
	case errors.As(err, &marked) && marked.Permanent:
		return permanent, marked.Code
	}
	return again, ""
}

func anyOf(err error, causes ...error) bool {
	for _, cause := range causes {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// guarded runs the engine and turns a panic into an error, so that one bad
// job does not end the process that works on others.
func guarded(ctx context.Context, e Engine, job *Job) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Fault{Code: "panic", Err: fmt.Errorf("engine panicked: %v", p)}
		}
	}()
	return e.Run(ctx, job)
}
