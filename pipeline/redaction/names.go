package redaction

import (
	"fmt"
	"maps"
	"slices"
)

// Names returns a map whose names have no secrets. Names that were
// different stay so.
func Names[V any](m map[string]V, s *Secrets) map[string]V {
	out := maps.Clone(m)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		hidden := s.Hide(name)
		if hidden == name {
			continue
		}
		free := hidden
		for n := 2; ; n++ {
			if _, taken := out[free]; !taken {
				break
			}
			free = fmt.Sprintf("%s %d", hidden, n)
		}
		out[free] = out[name]
		delete(out, name)
	}
	return out
}
