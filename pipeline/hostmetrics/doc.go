// Package hostmetrics measures CPU, memory, disk, network and GPUs of the machine
// that a phase runs on, under the names that MLflow uses for system metrics.
//
//	sampler := hostmetrics.New(ctx)
//	defer sampler.Close()
//	points := sampler.Sample(ctx)
//
// A megabyte is 10⁶ bytes. Used memory is the total minus the available memory. A
// value that the machine can not provide is omitted.
//
// GPU metrics need the build tag "gpu" and cgo.
package hostmetrics
