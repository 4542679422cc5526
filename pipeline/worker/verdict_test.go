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
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// TestClassify: every way in which the work of an engine can end, and what it
// means for the job.
func TestClassify(t *testing.T) {
	t.Parallel()
	plain := errors.New("something is wrong")
	overtime := &Fault{Code: "timeout", Permanent: true, Err: errors.New("too late")}
	gone := &os.PathError{Op: "open", Path: "rows.jsonl", Err: fs.ErrNotExist}
	missing := &os.PathError{Op: "open", Path: "rows.jsonl", Err: syscall.ENOENT}
	full := &os.PathError{Op: "write", Path: "model", Err: syscall.ENOSPC}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	corrupt := &artifact.CorruptError{Key: "k", WantSize: 2, HaveSize: 1}
	_, panicked := guarded(t.Context(), EngineFunc(func(context.Context, *Job) (Result, error) { panic("at the disco") }), nil)
	for name, c := range map[string]struct {
		err, why error
		class    class
		code     string
	}{
		"done":                                {nil, nil, succeeded, ""},
		"done, then lost":                     {nil, errLost, succeeded, ""},
		"done, then cancelled":                {nil, errCancelled, succeeded, ""},
		"done, then too late":                 {nil, overtime, succeeded, ""},
		"done, then stopped":                  {nil, context.Canceled, succeeded, ""},
		"lost":                                {plain, errLost, lost, ""},
		"lost, met at a checkpoint":           {fmt.Errorf("save: %w", &checkpoint.SupersededError{Key: "s"}), nil, lost, ""},
		"cancelled":                           {context.Canceled, errCancelled, cancelled, ""},
		"cancelled, and broken by it":         {Permanent("bad_dataset", plain), errCancelled, cancelled, ""},
		"too late":                            {context.DeadlineExceeded, overtime, permanent, "timeout"},
		"too late, and broken by it":          {plain, overtime, permanent, "timeout"},
		"stopped":                             {context.Canceled, context.Canceled, shutdown, ""},
		"stopped, and broken by it":           {Permanent("bad_model", plain), context.Canceled, shutdown, ""},
		"stopped for long":                    {plain, errGraceOver, shutdown, ""},
		"an error":                            {plain, nil, again, "error"},
		"an error with a code":                {&Fault{Code: "oom", Err: plain}, nil, again, "oom"},
		"a panic":                             {panicked, nil, again, "panic"},
		"a context of the engine's own":       {context.Canceled, nil, again, "error"},
		"a deadline of the engine's own":      {fmt.Errorf("ask: %w", context.DeadlineExceeded), nil, again, "error"},
		"no mark on the end of a context":     {Permanent("bad_dataset", context.Canceled), nil, again, "error"},
		"permanent":                           {Permanent("missing_column", plain), nil, permanent, "missing_column"},
		"permanent, wrapped":                  {fmt.Errorf("row 3: %w", Permanent("bad_row", plain)), nil, permanent, "bad_row"},
		"permanent, joined":                   {errors.Join(plain, Permanent("bad_row", plain)), nil, permanent, "bad_row"},
		"no such file":                        {Permanent("bad_dataset", gone), nil, permanent, "bad_dataset"},
		"no such file, as the system says it": {Permanent("bad_dataset", missing), nil, permanent, "bad_dataset"},
		"disk full":                           {full, nil, again, "disk_full"},
		"disk full under a permanent mark":    {Permanent("bad_model", full), nil, again, "disk_full"},
		"quota":                               {syscall.EDQUOT, nil, again, "disk_full"},
		"disk broken":                         {syscall.EIO, nil, again, "machine"},
		"too many files":                      {Permanent("bad_dataset", &os.PathError{Err: syscall.EMFILE}), nil, again, "machine"},
		"Hub away":                            {Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrUnreachable)), nil, again, "unreachable"},
		"Hub breaks off":                      {Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrBroken)), nil, again, "unreachable"},
		"Hub refuses":                         {Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrRefused)), nil, permanent, "hub"},
		"store away":                          {fmt.Errorf("fetch: %w", &artifact.UnavailableError{Err: plain}), nil, again, "unreachable"},
		"server away":                         {fmt.Errorf("post: %w", &url.Error{Op: "Post", URL: "http://x", Err: refused}), nil, again, "unreachable"},
		"connection refused":                  {refused, nil, again, "unreachable"},
		"artifact damaged":                    {fmt.Errorf("fetch: %w", corrupt), nil, again, "corrupt_artifact"},
		"artifact removed":                    {fmt.Errorf("fetch: %w", artifact.ErrNotFound), nil, permanent, "missing_artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := classify(c.err, c.why)
			if v.class != c.class {
				t.Errorf("%s, want %s (%v)", v.class, c.class, v.err)
			}
			if reported := v.class == again || v.class == permanent; reported != (v.err != nil) {
				t.Errorf("%s reports %v", v.class, v.err)
			}
			if v.err != nil && problem(v.err).Code != c.code {
				t.Errorf("code %s, want %s", problem(v.err).Code, c.code)
			}
		})
	}
}

// TestPanicIsAnError: a panic of any kind says what it was.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	for _, p := range []any{"text", errors.New("error"), 7} {
		_, err := guarded(t.Context(), EngineFunc(func(context.Context, *Job) (Result, error) { panic(p) }), nil)
		if problem(err).Code != "panic" || !strings.Contains(err.Error(), fmt.Sprint(p)) {
			t.Errorf("panic %v became %v", p, err)
		}
	}
}
