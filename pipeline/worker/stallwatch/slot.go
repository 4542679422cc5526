package stallwatch

import (
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
)

// Announcer shows a record until withdraw is called, as [heldslot.Announce] does. It
// must not block.
type Announcer func(r heldslot.Record) (withdraw func())

// Slot is the slot of a worker that works on a delivery. The methods of a nil Slot do
// nothing.
type Slot struct {
	announce Announcer

	mu       sync.Mutex // never held while something is waited for
	record   heldslot.Record
	withdraw func() // nil while nothing is announced
	freed    bool
}

// NewSlot returns the slot that works on the job of a record. Its Why and Since are set
// by [Slot.Hold].
func NewSlot(announce Announcer, job heldslot.Record) *Slot {
	return &Slot{announce: announce, record: job}
}

// SetAttempt says which attempt at the job it is.
func (s *Slot) SetAttempt(number int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.Attempt = number
}

// Hold says that the slot is held by work that does not end. The first reason stays.
func (s *Slot) Hold(why string) {
	if s == nil || s.announce == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.withdraw != nil || s.freed {
		return
	}
	s.record.Why, s.record.Since = why, time.Now().UTC()
	s.withdraw = s.announce(s.record)
}

// Free says that the work has ended, and that the slot takes jobs again.
func (s *Slot) Free() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freed = true
	if s.withdraw != nil {
		s.withdraw()
		s.withdraw = nil
	}
}
