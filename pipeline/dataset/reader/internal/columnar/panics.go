package columnar

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/tunebus/tunebus/pipeline/dataset/value"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/allocator"
)

var (
	errDamaged       = errors.New("the file is damaged")
	errTooManyValues = fmt.Errorf("it has more than %d values", value.MaxValues)
)

// isEnd reports whether an error is io.EOF itself. In these formats a wrapped one
// means that the file ends in the middle.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

// recoverDamage turns a panic into an error. It is for calls of libraries that
// read binary formats: they trust the lengths and offsets in a file, and with
// wrong ones they panic or read beyond mapped memory. Use it as
//
//	defer recoverDamage(&err)()
//
// only around such a call, never around the handling of rows.
func recoverDamage(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		switch p := recover().(type) {
		case nil:
		case *allocator.TooLargeError:
			*err = p
		default:
			*err = fmt.Errorf("the file is damaged: %v", p)
		}
	}
}
