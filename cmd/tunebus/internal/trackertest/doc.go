// Package trackertest tests that what the tracker makes of a run is the same
// however it comes about: facts out of order or twice, trackers that die
// between any two writes, several of them at once, and replays.
package trackertest
