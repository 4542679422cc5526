//go:build !gpu

package hostmetrics

// gpus are the GPUs of the machine. This build has no GPU metrics.
type gpus struct{}

func openGPUs() gpus { return gpus{} }

func (gpus) close() {}

func (gpus) sample(func(string, float64)) {}
