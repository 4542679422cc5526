//go:build race

package processes

// UnderRace says that the race detector watches the tests. It does not see into
// the programs, which are built without it, so that tests of them do under it
// only what shows that they themselves have no races. Tests that do one thing
// many times over do it less often. "make test" does everything.
const UnderRace = true
