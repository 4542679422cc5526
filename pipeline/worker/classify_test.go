package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// TestClassify covers every way in which the work of an engine can end.
func TestClassify(t *testing.T) {
	t.Parallel()
	plain := errors.New("something is wrong")
	timeout := &engine.JobError{Code: "timeout", Permanent: true, Err: errors.New("overdue")}
	gone := &os.PathError{Op: "open", Path: "rows.jsonl", Err: fs.ErrNotExist}
	missing := &os.PathError{Op: "open", Path: "rows.jsonl", Err: syscall.ENOENT}
	full := &os.PathError{Op: "write", Path: "model", Err: syscall.ENOSPC}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	corrupt := &artifact.CorruptError{Key: "k", WantSize: 2, HaveSize: 1}
	_, panicked := runEngine(t.Context(), engine.Func(func(context.Context, *engine.Job) (engine.Result, error) { panic("at the disco") }), nil)
	for name, c := range map[string]struct {
		err, cause error
		class      class
		code       string
	}{
		"done":                        {nil, nil, classSucceeded, ""},
		"done, then lost":             {nil, errLost, classSucceeded, ""},
		"done, then cancelled":        {nil, errCancelled, classSucceeded, ""},
		"done, then overdue":          {nil, timeout, classSucceeded, ""},
		"done, then stopped":          {nil, engine.ErrShutdown, classSucceeded, ""},
		"lost":                        {plain, errLost, classLost, ""},
		"lost, found by a checkpoint": {fmt.Errorf("save: %w", &checkpoint.SupersededError{Key: "s"}), nil, classLost, ""},
		"cancelled":                   {context.Canceled, errCancelled, classCancelled, ""},
		"cancelled, and broken by it": {engine.Permanent("bad_dataset", plain), errCancelled, classCancelled, ""},
		"overdue":                     {context.DeadlineExceeded, timeout, classPermanent, "timeout"},
		"overdue, and broken by it":   {plain, timeout, classPermanent, "timeout"},
		"stopped":                     {context.Canceled, engine.ErrShutdown, classShutdown, ""},
		"stopped, and broken by it":   {engine.Permanent("bad_model", plain), engine.ErrShutdown, classShutdown, ""},
		"grace over":                  {plain, errGraceOver, classShutdown, ""},
		"an error":                    {plain, nil, classRetry, "error"},
		"an error with a code":        {&engine.JobError{Code: "oom", Err: plain}, nil, classRetry, "oom"},
		"a panic":                     {panicked, nil, classRetry, "panic"},
		"the engine cancels a context of its own": {context.Canceled, nil, classRetry, "error"},
		"the engine sets a deadline of its own":   {fmt.Errorf("ask: %w", context.DeadlineExceeded), nil, classRetry, "error"},
		"the end of a context is not marked":      {engine.Permanent("bad_dataset", context.Canceled), nil, classRetry, "error"},
		"permanent":                               {engine.Permanent("missing_column", plain), nil, classPermanent, "missing_column"},
		"permanent, wrapped":                      {fmt.Errorf("row 3: %w", engine.Permanent("bad_row", plain)), nil, classPermanent, "bad_row"},
		"permanent, joined":                       {errors.Join(plain, engine.Permanent("bad_row", plain)), nil, classPermanent, "bad_row"},
		"no such file":                            {engine.Permanent("bad_dataset", gone), nil, classPermanent, "bad_dataset"},
		"no such file, as an errno":               {engine.Permanent("bad_dataset", missing), nil, classPermanent, "bad_dataset"},
		"disk full":                               {full, nil, classRetry, "disk_full"},
		"disk full under a permanent mark":        {engine.Permanent("bad_model", full), nil, classRetry, "disk_full"},
		"quota":                                   {syscall.EDQUOT, nil, classRetry, "disk_full"},
		"disk broken":                             {syscall.EIO, nil, classRetry, "machine"},
		"too many files":                          {engine.Permanent("bad_dataset", &os.PathError{Err: syscall.EMFILE}), nil, classRetry, "machine"},
		"Hub unreachable":                         {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrUnreachable)), nil, classRetry, "unreachable"},
		"Hub breaks the connection":               {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrBroken)), nil, classRetry, "unreachable"},
		"Hub refuses":                             {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrRefused)), nil, classPermanent, "hub"},
		"store unreachable":                       {fmt.Errorf("fetch: %w", &artifact.UnavailableError{Err: plain}), nil, classRetry, "unreachable"},
		"server unreachable":                      {fmt.Errorf("post: %w", &url.Error{Op: "Post", URL: "http://x", Err: refused}), nil, classRetry, "unreachable"},
		"connection refused":                      {refused, nil, classRetry, "unreachable"},
		"artifact damaged":                        {fmt.Errorf("fetch: %w", corrupt), nil, classRetry, "corrupt_artifact"},
		"artifact removed":                        {fmt.Errorf("fetch: %w", artifact.ErrNotFound), nil, classPermanent, "missing_artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := classify(c.err, c.cause)
			if v.class != c.class {
				t.Errorf("%s, want %s (%v)", v.class, c.class, v.err)
			}
			if reported := v.class == classRetry || v.class == classPermanent; reported != (v.err != nil) {
				t.Errorf("%s reports %v", v.class, v.err)
			}
			if v.err != nil && problem(v.err).Code != c.code {
				t.Errorf("code %s, want %s", problem(v.err).Code, c.code)
			}
		})
	}
}

// TestRunEnginePanics: a panic with any value becomes an error that shows the
// value.
func TestRunEnginePanics(t *testing.T) {
	t.Parallel()
	for _, p := range []any{"text", errors.New("error"), 7} {
		_, err := runEngine(t.Context(), engine.Func(func(context.Context, *engine.Job) (engine.Result, error) { panic(p) }), nil)
		if problem(err).Code != "panic" || !strings.Contains(err.Error(), fmt.Sprint(p)) {
			t.Errorf("panic %v became %v", p, err)
		}
	}
}
