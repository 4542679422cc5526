package processes

// Times is how often a test does what it does many times over: all of them, or
// some under the race detector.
func Times(all, some int) int {
	if UnderRace {
		return some
	}
	return all
}
