// Package emulators runs the conformance suite of artifact stores on the drivers
// of Google Cloud Storage and Azure Blob Storage, against emulators of the two.
// It is a module of its own because the emulators are far larger than the
// drivers.
package emulators
