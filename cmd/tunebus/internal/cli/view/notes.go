package view

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// sentences are what a person has read: several parts of the program tell the same of
// the same data. It is safe for concurrent use.
type sentences struct {
	mu   sync.Mutex
	said map[string]bool
}

// isNew reports whether a sentence is said for the first time, and takes it as said.
func (s *sentences) isNew(sentence string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[sentence] {
		return false
	}
	if s.said == nil {
		s.said = map[string]bool{}
	}
	s.said[sentence] = true
	return true
}

// replace takes other sentences as said, and returns those before.
func (s *sentences) replace(said map[string]bool) (before map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.said = s.said, said
	return before
}

// Unsaid returns those of some sentences that a person has not read yet. They count as
// said then.
func (c *Console) Unsaid(all ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(sentence string) bool { return !c.said.isNew(sentence) })
}

// Another has a console begin to show another run than the one that the command is about, until back is
// called: each of the two says all of its own notes, warnings and errors.
func Another(c *Console) (back func()) {
	said, errors, byIntake := c.said.replace(nil), c.errors, c.byIntake
	c.errors, c.byIntake = saidErrors{}, endedByIntake{}
	return func() {
		c.said.replace(said)
		c.errors, c.byIntake = errors, byIntake
	}
}

var (
	// unscored is a note that rows have no score of a metric.
	unscored = regexp.MustCompile(`^(.+): (\d+ of \d+ rows ha\w+ no score: .*)$`)
	// lacking is the note that says of the same rows what they lack.
	lacking = regexp.MustCompile(`^predictions: of \d+ rows \d+ have no ground truth and \d+ have no answer; `)
)

// Together returns the notes of a phase with those in one that say the same of several
// metrics.
func Together(notes []string) (out []string) {
	at := map[string]int{} // the note of each reason
	for _, note := range notes {
		m := unscored.FindStringSubmatch(note)
		if m == nil {
			out = append(out, note)
			continue
		}
		if i, ok := at[m[2]]; ok {
			out[i] = strings.TrimSuffix(out[i], ": "+m[2]) + ", " + m[1] + ": " + m[2]
			continue
		}
		at[m[2]] = len(out)
		out = append(out, note)
	}
	if len(at) > 0 {
		out = slices.DeleteFunc(out, lacking.MatchString)
	}
	return out
}
