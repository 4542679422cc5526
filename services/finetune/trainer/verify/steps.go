package verify

import (
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
)

// Steps is what is known of the steps that a trainer has reported.
type Steps struct {
	last     map[string]int64 // the last step of each point, by its name
	repeated int              // points that did not count
	Beyond   int64            // the largest step beyond the total; 0: there was none
}

// Fresh returns the points that count: those of a step behind the last one of their name.
func (s *Steps) Fresh(step int64, points []events.Point) []events.Point {
	if s.last == nil {
		s.last = map[string]int64{}
	}
	return slices.DeleteFunc(points, func(p events.Point) bool {
		if last, ok := s.last[p.Key]; ok && step <= last {
			s.repeated++
			return true
		}
		s.last[p.Key] = step
		return false
	})
}

// Notes say what was odd about the steps.
func (s *Steps) Notes(total int64) (notes []string) {
	if s.repeated > 0 {
		notes = append(notes, fmt.Sprintf("the trainer sent %d points of steps that it had reported already; the first ones count", s.repeated))
	}
	if s.Beyond > 0 {
		notes = append(notes, fmt.Sprintf("the trainer reported step %d, and said that there are %d", s.Beyond, total))
	}
	return notes
}
