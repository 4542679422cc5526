//go:build !gpu

package hostmetrics

// gpus are the machine's GPUs; this build knows of none.
type gpus struct{}

func openGPUs() gpus { return gpus{} }

func (gpus) close() {}

func (gpus) sample(func(string, float64)) {}
