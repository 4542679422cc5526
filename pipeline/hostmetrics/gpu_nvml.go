//go:build gpu

package hostmetrics

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// gpus are the GPUs of the machine that NVML lists; none if there is no driver.
type gpus struct{ devices []nvml.Device }

func openGPUs() gpus {
	if nvml.Init() != nvml.SUCCESS {
		return gpus{}
	}
	n, ret := nvml.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return gpus{}
	}
	var g gpus
	for i := range n {
		if d, ret := nvml.DeviceGetHandleByIndex(i); ret == nvml.SUCCESS {
			g.devices = append(g.devices, d)
		}
	}
	return g
}

func (g gpus) close() {
	if len(g.devices) > 0 {
		nvml.Shutdown()
	}
}

func (g gpus) sample(put func(string, float64)) {
	for i, d := range g.devices {
		name := fmt.Sprintf("gpu_%d_", i)
		if m, ret := d.GetMemoryInfo(); ret == nvml.SUCCESS && m.Total > 0 {
			put(name+"memory_usage_megabytes", float64(m.Used)/1e6)
			put(name+"memory_usage_percentage", 100*float64(m.Used)/float64(m.Total))
		}
		if u, ret := d.GetUtilizationRates(); ret == nvml.SUCCESS {
			put(name+"utilization_percentage", float64(u.Gpu))
		}
		watts, ret := d.GetPowerUsage() // milliwatts
		if ret != nvml.SUCCESS {
			continue
		}
		put(name+"power_usage_watts", float64(watts)/1e3)
		if limit, ret := d.GetEnforcedPowerLimit(); ret == nvml.SUCCESS && limit > 0 {
			put(name+"power_usage_percentage", 100*float64(watts)/float64(limit))
		}
	}
}
