package metrics

// pointKey identifies a point: a metric has one point for each step.
type pointKey struct {
	metric string
	step   int64
}

// Steps are the steps of metrics for which a point is known. If several attempts
// published a point of one step, the first one counts. The zero value cannot be
// added to.
type Steps map[pointKey]bool

// Has reports whether a point of the step is known.
func (s Steps) Has(metric string, step int64) bool { return s[pointKey{metric, step}] }

// Add adds a step, and reports whether it is new.
func (s Steps) Add(metric string, step int64) (added bool) {
	k := pointKey{metric, step}
	if s[k] {
		return false
	}
	s[k] = true
	return true
}
