//go:build !race

package chaos_test

// underRace tells that the race detector watches these tests.
const underRace = false
