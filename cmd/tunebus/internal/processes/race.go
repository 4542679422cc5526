//go:build race

package processes

// UnderRace says that the race detector watches the tests. It does not see into
// the programs, which are built without it: tests of programs alone do so much
// as tells that they work with it, and everything without it.
const UnderRace = true
