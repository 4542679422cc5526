package worker

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Config says which jobs a worker takes and how it works on them.
type Config struct {
	Phase events.Phase
	// Engine is the engine's name in started facts. Default [engine.Builtin].
	Engine string
	// Queue is the queue that jobs are taken from. Default: the engine's name.
	Queue string
	// Slots is how many jobs are worked on at once. Default 1.
	Slots int
	// MaxBackoff is the longest delay before a retry. Default 0: no limit.
	MaxBackoff time.Duration
	// Grace is how long the end of a job may take after a shutdown. Default
	// 10 s.
	Grace time.Duration
	// StoreRetryBudget is how long a job keeps retrying when the artifact store
	// is full or unreachable. Default 1 h.
	StoreRetryBudget time.Duration
	// Stall limits the stages of a job that make no progress. Default: nothing is
	// limited.
	Stall progress.Limits
	// Sources are the places of models and data sets.
	Sources engine.Sources
	// Scratch is the folder for temporary files. Default: the system's.
	Scratch string
	// ModelCache is how many bytes of inputs from a store elsewhere stay in Scratch
	// for further jobs. Default 0: none.
	ModelCache int64
	// Name names the process in started facts. Default: [conn.ProcessName].
	Name string
	// Sample, when set, measures the machine every few seconds.
	Sample func(context.Context) []events.Point
	Logger *slog.Logger
	// Timing shortens delays in tests. Services leave it empty.
	Timing Timing
}

// Timing holds the delays that tests change. A field that is 0 gets its
// default.
type Timing struct {
	// OwnershipCheckInterval is how often a busy worker checks whether it still
	// owns its job, in addition to notifications. Default 20 s.
	OwnershipCheckInterval time.Duration
	// WrongWorkerDelay is the first redelivery delay of a job that this worker
	// cannot do: its artifacts are in another store, its run has facts of a newer
	// version, or the worker's scratch folder cannot be used. It grows with each delivery. Default 15 s.
	WrongWorkerDelay time.Duration
	// SampleInterval is the time between two samples of the machine. Default
	// 5 s.
	SampleInterval time.Duration
}

func (c Config) withDefaults() Config {
	if c.Engine == "" {
		c.Engine = engine.Builtin
	}
	if c.Queue == "" {
		c.Queue = c.Engine
	}
	if c.Slots == 0 {
		c.Slots = 1
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.StoreRetryBudget == 0 {
		c.StoreRetryBudget = time.Hour
	}
	if c.Scratch == "" {
		c.Scratch = os.TempDir()
	}
	if whole, err := filepath.Abs(c.Scratch); err == nil { // programs of a job may work in another folder
		c.Scratch = whole
	}
	if c.Name == "" {
		c.Name = conn.ProcessName()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Timing.OwnershipCheckInterval == 0 {
		c.Timing.OwnershipCheckInterval = 20 * time.Second
	}
	if c.Timing.WrongWorkerDelay == 0 {
		c.Timing.WrongWorkerDelay = 15 * time.Second
	}
	if c.Timing.SampleInterval == 0 {
		c.Timing.SampleInterval = 5 * time.Second
	}
	return c
}
