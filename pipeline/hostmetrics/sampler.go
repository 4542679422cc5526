package hostmetrics

import (
	"context"
	"math"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"

	"github.com/tunebus/tunebus/events"
)

// Sampler measures the machine. Network traffic is counted from New on.
type Sampler struct {
	received, sent uint64
	gpus           gpus
}

// New returns a sampler. The caller must close it.
func New(ctx context.Context) *Sampler {
	s := &Sampler{gpus: openGPUs()}
	s.received, s.sent = traffic(ctx)
	_, _ = cpu.PercentWithContext(ctx, 0, false) // the first call only sets the start of the interval that the next call measures
	return s
}

// Close releases the GPU library.
func (s *Sampler) Close() { s.gpus.close() }

// Sample measures once. It takes a few milliseconds.
func (s *Sampler) Sample(ctx context.Context) []events.Point {
	now := time.Now().UTC()
	var out []events.Point
	put := func(key string, value float64) {
		out = append(out, events.Point{Key: key, Value: round(value), Time: now})
	}
	if p, err := cpu.PercentWithContext(ctx, 0, false); err == nil && len(p) == 1 {
		put("cpu_utilization_percentage", p[0])
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil && m.Total > 0 {
		used := float64(m.Total - m.Available)
		put("system_memory_usage_megabytes", used/1e6)
		put("system_memory_usage_percentage", 100*used/float64(m.Total))
	}
	if d, err := disk.UsageWithContext(ctx, "/"); err == nil {
		put("disk_usage_percentage", d.UsedPercent)
		put("disk_usage_megabytes", float64(d.Used)/1e6)
		put("disk_available_megabytes", float64(d.Free)/1e6)
	}
	if in, sent := traffic(ctx); in >= s.received && sent >= s.sent {
		put("network_receive_megabytes", float64(in-s.received)/1e6)
		put("network_transmit_megabytes", float64(sent-s.sent)/1e6)
	}
	s.gpus.sample(put)
	return out
}

func traffic(ctx context.Context) (received, sent uint64) {
	c, err := net.IOCountersWithContext(ctx, false)
	if err != nil || len(c) == 0 {
		return 0, 0
	}
	return c[0].BytesRecv, c[0].BytesSent
}

func round(v float64) float64 { return math.Round(v*10) / 10 }
