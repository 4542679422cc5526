// Package nameset is a set of the names of columns. A file may have a hundred
// thousand of them, so that looking through a list for each takes minutes.
package nameset

// Set is a set of names.
type Set map[string]bool

// Of returns the set of some names.
func Of(names []string) Set {
	s := make(Set, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// Add adds a name and reports whether it is new.
func (s Set) Add(name string) bool {
	if s[name] {
		return false
	}
	s[name] = true
	return true
}
