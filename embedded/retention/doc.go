// Package retention tests what leaves the stream of facts and the artifact
// store, on a real server: the archiver and the collector.
package retention
