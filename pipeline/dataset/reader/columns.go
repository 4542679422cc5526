package reader

// maxColumns limits the columns that are remembered of a JSON file, where each
// record may have keys of its own.
const maxColumns = 4096

// seenColumns are the keys of the records so far, in order.
type seenColumns struct {
	names []string
	known map[string]bool
	last  []string
}

// add adds the keys of a record. Equal lists of keys are often the same slice.
func (s *seenColumns) add(names []string) {
	if len(names) == 0 || len(names) == len(s.last) && &names[0] == &s.last[0] {
		return
	}
	s.last = names
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, name := range names {
		if !s.known[name] && len(s.names) < maxColumns {
			s.known[name] = true
			s.names = append(s.names, name)
		}
	}
}
