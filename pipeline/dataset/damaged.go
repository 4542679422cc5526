package dataset

import (
	"fmt"
	"runtime/debug"
)

// damaged guards a call of a library that reads somebody's file: the readers
// of binary formats trust what a file says about itself and panic, or step
// over the end of its memory, where it lies. Use it as
//
//	defer damaged(&err)()
//
// around such a call alone, never around what is done with the rows.
func damaged(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("the file is damaged: %v", p)
		}
	}
}
