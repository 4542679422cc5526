//go:build !race

package processes

// UnderRace says that the race detector watches the tests.
const UnderRace = false
