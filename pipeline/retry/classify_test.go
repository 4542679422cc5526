package retry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
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
	panicked := &engine.JobError{Code: "panic", Err: errors.New("engine panicked: index out of range")}
	for name, c := range map[string]struct {
		err, cause error
		class      Class
		code       string
	}{
		"done":                        {nil, nil, ClassSucceeded, ""},
		"done, then lost":             {nil, ErrLost, ClassSucceeded, ""},
		"done, then cancelled":        {nil, ErrCancelled, ClassSucceeded, ""},
		"done, then overdue":          {nil, timeout, ClassSucceeded, ""},
		"done, then stopped":          {nil, engine.ErrShutdown, ClassSucceeded, ""},
		"lost":                        {plain, ErrLost, ClassLost, ""},
		"lost, found by a checkpoint": {fmt.Errorf("save: %w", &checkpoint.SupersededError{Key: "s"}), nil, ClassLost, ""},
		"cancelled":                   {context.Canceled, ErrCancelled, ClassCancelled, ""},
		"cancelled, and broken by it": {engine.Permanent("bad_dataset", plain), ErrCancelled, ClassCancelled, ""},
		"overdue":                     {context.DeadlineExceeded, timeout, ClassPermanent, "timeout"},
		"overdue, and broken by it":   {plain, timeout, ClassPermanent, "timeout"},
		"stopped":                     {context.Canceled, engine.ErrShutdown, ClassShutdown, ""},
		"stopped, and broken by it":   {engine.Permanent("bad_model", plain), engine.ErrShutdown, ClassShutdown, ""},
		"grace over":                  {plain, ErrGraceOver, ClassShutdown, ""},
		"an error":                    {plain, nil, ClassRetry, "error"},
		"an error with a code":        {&engine.JobError{Code: "oom", Err: plain}, nil, ClassRetry, "oom"},
		"a panic":                     {panicked, nil, ClassRetry, "panic"},
		"the engine cancels a context of its own": {context.Canceled, nil, ClassRetry, "error"},
		"the engine sets a deadline of its own":   {fmt.Errorf("ask: %w", context.DeadlineExceeded), nil, ClassRetry, "error"},
		"the end of a context is not marked":      {engine.Permanent("bad_dataset", context.Canceled), nil, ClassRetry, "error"},
		"permanent":                               {engine.Permanent("missing_column", plain), nil, ClassPermanent, "missing_column"},
		"permanent, wrapped":                      {fmt.Errorf("row 3: %w", engine.Permanent("bad_row", plain)), nil, ClassPermanent, "bad_row"},
		"permanent, joined":                       {errors.Join(plain, engine.Permanent("bad_row", plain)), nil, ClassPermanent, "bad_row"},
		"no such file":                            {engine.Permanent("bad_dataset", gone), nil, ClassPermanent, "bad_dataset"},
		"no such file, as an errno":               {engine.Permanent("bad_dataset", missing), nil, ClassPermanent, "bad_dataset"},
		"disk full":                               {full, nil, ClassRetry, "disk_full"},
		"disk full under a permanent mark":        {engine.Permanent("bad_model", full), nil, ClassRetry, "disk_full"},
		"quota":                                   {syscall.EDQUOT, nil, ClassRetry, "disk_full"},
		"disk broken":                             {syscall.EIO, nil, ClassRetry, "machine"},
		"too many files":                          {engine.Permanent("bad_dataset", &os.PathError{Err: syscall.EMFILE}), nil, ClassRetry, "machine"},
		"Hub unreachable":                         {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrUnreachable)), nil, ClassRetry, "unreachable"},
		"something else than a Hub answers":       {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrNonsense)), nil, ClassRetry, "hub_bad_answer"},
		"Hub breaks the connection":               {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrBroken)), nil, ClassRetry, "unreachable"},
		"Hub refuses":                             {engine.Permanent("hub", fmt.Errorf("model a/b: %w", huggingface.ErrRefused)), nil, ClassPermanent, "hub"},
		"store unreachable":                       {fmt.Errorf("fetch: %w", &artifact.UnavailableError{Err: plain}), nil, ClassRetry, "unreachable"},
		"server unreachable":                      {fmt.Errorf("post: %w", &url.Error{Op: "Post", URL: "http://x", Err: refused}), nil, ClassRetry, "unreachable"},
		"connection refused":                      {refused, nil, ClassRetry, "unreachable"},
		"artifact damaged":                        {fmt.Errorf("fetch: %w", corrupt), nil, ClassRetry, "corrupt_artifact"},
		"artifact removed":                        {fmt.Errorf("fetch: %w", artifact.ErrNotFound), nil, ClassPermanent, "missing_artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Classify(c.err, c.cause)
			if v.Class != c.class {
				t.Errorf("%s, want %s (%v)", v.Class, c.class, v.Err)
			}
			if reported := v.Class == ClassRetry || v.Class == ClassPermanent; reported != (v.Err != nil) {
				t.Errorf("%s reports %v", v.Class, v.Err)
			}
			if v.Err != nil && engine.Problem(v.Err).Code != c.code {
				t.Errorf("code %s, want %s", engine.Problem(v.Err).Code, c.code)
			}
		})
	}
}

// TestFullDisk: the error names the folder of the scratch folders, once, and no
// temporary file.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join("data", "scratch", "tunebus-scratch-finetune-1", "checkpoint-2", "trainer.safetensors")
	full := &os.PathError{Op: "write", Path: file, Err: syscall.ENOSPC}
	got := Classify(fmt.Errorf("save: %w", errors.Join(full, full)), nil)
	want := "the disk with " + filepath.Join("data", "scratch") + " is full: no space left on device; free space on it"
	if got.Err == nil || got.Err.Error() != want || !errors.Is(got.Err, syscall.ENOSPC) {
		t.Errorf("%v, want %q", got.Err, want)
	}
}
