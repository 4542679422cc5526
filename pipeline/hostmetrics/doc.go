// Package hostmetrics measures the machine that a phase works on, under the
// names that MLflow gives system metrics. Megabytes are 10⁶ bytes; used
// memory is the total minus what is available.
//
// GPU metrics need the build tag "gpu" and cgo; without it, there are none.
package hostmetrics
