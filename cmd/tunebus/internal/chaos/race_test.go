//go:build race

package chaos_test

// underRace tells that the race detector watches these tests, which it has
// little to see in: the programs are others.
const underRace = true
