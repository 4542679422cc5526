//go:build !failpoint

package failpoint

import (
	"io"

	"github.com/tunebus/tunebus/events"
)

// Here is the point called name.
func Here(Name) {}

// Publishing is the point before the publishing of ev.
func Publishing(events.Event) {}

// Published is the point after it.
func Published(events.Event) {}

// Reader is r, with the point called name after its first part.
func Reader(_ Name, r io.Reader) io.Reader { return r }
